// What `send` and `bcast` have in common: files are looked at on one rank, folders are made where they are wanted, a
// stream moves over a route, what arrived is committed, and all ranks' reports become one. A command says who takes
// part and which route it goes.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/fd.h"
#include "command/options.h"
#include "command/report.h"
#include "core/route.h"
#include "mpi/session.h"

namespace argosy::command {

// The user's standard output, for data.
struct StandardOutput {
  base::Fd fd;
  // It is a socket: once it is shut down for writing, a byte comes back when all has arrived where the user wants it.
  bool acknowledges = false;
};

// What a command gets from whoever started it on this rank.
struct Surroundings {
  Observer* observer = nullptr;  // null but on rank 0
  std::function<base::Fd()> open_standard_input;
  std::function<StandardOutput()> open_standard_output;
};

// What the scan has found, known to every rank.
struct Found {
  std::int64_t files = 0;
  std::int64_t bytes = 0;
  bool open_ended = false;   // more bytes will come than are counted
  std::int64_t folders = 0;  // among the sources
};

// A route and the chunk size that goes with it.
struct Way {
  std::unique_ptr<core::Route> route;
  std::int64_t chunk_size = 0;
};

struct MoveTask {
  std::string command;
  Sources sources;
  std::string directory;  // templates unexpanded
  int root = 0;           // the rank that reads the sources
  // Whether a rank is to write, if its folder is not another's. The same on every rank.
  std::function<bool(int rank)> wants;
  // Whether a rank reads sources: the root, and with it every other origin of its route.
  std::function<bool(int rank)> reads;
  // Folders on several nodes may be one on a shared file system: find out, and let the lowest rank write.
  bool folders_may_be_shared = false;
  // A target of the source's size and mtime is in place.
  bool leave_same = false;
  // Of a single source in place the digest is told as well, which reads the target.
  bool digest_in_place = false;
  // It is so only when its digest is the source's.
  bool checksum = false;
  // The bandwidth limit is one for cards: what stays on a node goes free.
  bool limit_cards_only = false;
  // Nothing moves: the report tells what would go which way.
  bool explain = false;
  // Called on every rank after the scan, with who writes; may add to the report.
  std::function<Way(const Found& found, const std::vector<bool>& writes, Report& report)> choose;
  // How many bytes of slots this rank is given.
  std::size_t pool_bytes = 0;
};

// Collective. The report is whole at rank 0; its exit code stands on every rank. Throws base::Error when the job can't
// go on: the caller then ends it on all ranks.
Report move_files(const Options& options, mpi::Session& session, const Surroundings& surroundings,
                  const MoveTask& task);

// The report of a command that only the communicator could tell to be wrong usage. The same on every rank.
Report wrong_usage(const std::string& command, std::string message);

// The chunk size where none was asked for: `size` or less, in whole leaves, at least one. A chunk takes no more than an
// eighth of a second at the bandwidth limit, so that a slow transfer is a steady one.
std::int64_t steady_chunk(const CommonOptions& options, std::int64_t size);

// The bytes that a slot for chunks of `chunk_size` takes.
std::size_t slot_bytes(std::int64_t chunk_size);

}  // namespace argosy::command
