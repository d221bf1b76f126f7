// This process's membership in an MPI job: start, who is where, shared memory of a node, the end. Together with the
// other files of this folder the only place that knows <mpi.h> (MPI 3.1). One thread, the one that made the Session,
// calls everything here (MPI_THREAD_FUNNELED).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/transport.h"
#include "mpi/agreement.h"

namespace argosy::mpi {

// The MPI library's name and version in one line; needs no running MPI.
std::string library_version();

class Session {
 public:
  // Collective, blocks: MPI_Init_thread unless MPI runs already, a duplicate of MPI_COMM_WORLD, the hosts' names, the
  // nodes. With ARGOSY_RANKS_A_NODE=N in the environment N ranks in a row count as a node. Throws base::Error
  // (kSystem).
  Session();
  // Leaves MPI running: end() ends it.
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  int rank() const;
  int size() const;
  // The name of a rank's host, whole.
  const std::string& host(int rank) const;
  const std::vector<std::string>& hosts() const;
  // The lowest rank of the node that `rank` is on: its leader, and the node's number.
  int node_of(int rank) const;
  core::Transport& transport();

  // Collective over the node, blocks: `bytes` of memory for this rank's pool, populated, and where the system allows it
  // visible to its neighbours through transport().memory_of. The session owns it. Call once.
  std::span<std::byte> allocate_pool(std::size_t bytes);

  // Collective, blocks: every rank's number, at every rank, in rank order.
  std::vector<std::int64_t> exchange(std::int64_t mine);

  // Collective, blocks: every rank's text, at every rank, in rank order. Throws base::Error (kSystem) when all of them
  // together are longer than MPI can move at once.
  std::vector<std::string> exchange(const std::string& mine);

  // Collective, blocks: the seconds that a small message takes from rank `a` to rank `b`, the shortest of a few round
  // trips, halved. The same at every rank.
  double latency(int a, int b);

  // Collective: starts an agreement over all ranks (see Agreement).
  Agreement agree(const Verdict& mine);

  // Collective, blocks at most `seconds`: every rank's text at rank 0, in rank order; elsewhere empty. Throws
  // base::Error (kSystem) when it takes longer.
  std::vector<std::string> gather(const std::string& text, double seconds);

  // Collective: the job's end, with `code` as this process's exit code. Does not return, and does not hang: what
  // MPI_Finalize has not done within a few seconds is left undone. With `result_stands`, because a supervisor has it
  // already, MPICH's is left out altogether.
  [[noreturn]] void end(int code, bool result_stands);
  // Ends every rank at once. Does not return, and does not hang.
  [[noreturn]] void abort(int code);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace argosy::mpi
