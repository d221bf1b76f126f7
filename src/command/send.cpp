#include "command/send.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <variant>

#include "base/digest.h"

namespace argosy::command {

namespace {

constexpr std::int64_t kDefaultChunk = 1 << 20;
// Within a node a chunk costs no message worth the name: few bytes in flight stay in the processor's cache.
constexpr std::int64_t kNeighbourChunk = base::kLeafSize;
// More slots than these add no speed to a direct route, and leave the processor's cache.
constexpr std::size_t kMostSlots = 24;
constexpr std::size_t kNeighbourSlots = 4;

std::int64_t choose_chunk_size(const CommonOptions& options, bool neighbours) {
  if (options.chunk_size > 0) return options.chunk_size;
  return steady_chunk(options, std::min(neighbours ? kNeighbourChunk : kDefaultChunk, options.memory / 16));
}

}  // namespace

Report send(const Options& options, const SendOptions& asked, mpi::Session& session, const Surroundings& surroundings) {
  if (session.size() < 2) {
    return wrong_usage("send", fmt::format("send needs at least 2 ranks, and there is {}", session.size()));
  }
  for (const int rank : {asked.from, asked.to}) {
    if (rank < session.size()) continue;
    return wrong_usage("send", fmt::format("rank {} is out of range: the ranks are 0 to {}", rank, session.size() - 1));
  }
  // A neighbour works out of the sender's slots; it needs its own only where memory can't be shared.
  const bool neighbours = session.node_of(asked.from) == session.node_of(asked.to);
  const std::int64_t chunk_size = choose_chunk_size(options.common, neighbours);
  const std::size_t slot = slot_bytes(chunk_size);
  const std::size_t all = static_cast<std::size_t>(options.common.memory) / slot;
  const std::size_t sender = std::min(kMostSlots, neighbours ? all - kNeighbourSlots : all);
  const std::size_t receiver = neighbours ? kNeighbourSlots : std::min(kMostSlots, all);

  MoveTask task;
  task.command = "send";
  task.sources = static_cast<const Sources&>(asked);
  task.directory = asked.directory;
  task.root = asked.from;
  task.leave_same = true;
  task.digest_in_place = true;
  task.checksum = asked.checksum;
  task.reads = [&asked](int rank) { return rank == asked.from; };
  task.wants = [&asked](int rank) { return rank == asked.to; };
  task.pool_bytes = slot * (session.rank() == asked.from ? sender : session.rank() == asked.to ? receiver : 0);
  task.choose = [&](const Found& found, const std::vector<bool>&, Report&) {
    // Of small files fewer and larger chunks cost less than the cache gives back.
    const bool larger =
        neighbours && found.folders > 0 && options.common.chunk_size == 0 && chunk_size == kNeighbourChunk;
    return Way{std::make_unique<core::Direct>(asked.from, asked.to), larger ? 2 * chunk_size : chunk_size};
  };
  return move_files(options, session, surroundings, task);
}

}  // namespace argosy::command
