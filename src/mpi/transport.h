// core::Transport over MPI: non-blocking sends and receives, and MPI_Testsome.
#pragma once

#include <functional>
#include <map>
#include <vector>

#include "core/transport.h"
#include "mpi/calls.h"

namespace argosy::mpi {

class MpiTransport final : public core::Transport {
 public:
  // `communicator` stays the caller's and outlives the transport.
  explicit MpiTransport(MPI_Comm communicator);

  int rank() const override { return rank_; }
  int size() const override { return size_; }
  void send(int to, core::Tag tag, std::span<const std::byte> bytes, Sent sent) override;
  Ticket receive(int from, core::Tag tag, std::span<std::byte> into, Received received) override;
  void cancel(Ticket ticket) override;
  std::size_t poll() override;
  std::span<const std::byte> memory_of(int rank) const override;

  // From now on `rank`'s pool is seen at `memory`.
  void show_memory(int rank, std::span<const std::byte> memory) { memory_[rank] = memory; }

 private:
  struct Pending {
    Ticket ticket = 0;
    Sent sent;
    Received received;
  };
  Ticket add(MPI_Request request, Pending pending);

  MPI_Comm communicator_;
  int rank_ = 0;
  int size_ = 0;
  Ticket next_ticket_ = 1;
  // Side by side, as MPI_Testsome wants the requests in one array.
  std::vector<MPI_Request> requests_;
  std::vector<Pending> pending_;
  std::vector<int> indices_;
  std::vector<MPI_Status> statuses_;
  // What poll() has taken out and not called yet: a callback may cancel one of these.
  struct Completed {
    Pending pending;
    int from = 0;
    std::size_t bytes = 0;
  };
  std::vector<Completed> completed_;
  std::map<int, std::span<const std::byte>> memory_;
};

}  // namespace argosy::mpi
