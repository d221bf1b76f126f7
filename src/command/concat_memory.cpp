#include "command/concat_memory.h"

#include <algorithm>
#include <map>

#include "base/digest.h"
#include "command/move.h"

namespace argosy::command {

namespace {

constexpr std::int64_t kDefaultChunk = 1 << 20;
// Within a node a chunk costs no message worth the name: few bytes in flight stay in the processor's cache.
constexpr std::int64_t kNeighbourChunk = base::kLeafSize;
// So many fill any card. Each has manifest pages and unfinished files of its own: more would cost memory and no time.
constexpr std::size_t kMostAtOnce = 16;
// Two messages of a giver are under way while two are written; more slots for reading add no speed.
constexpr std::size_t kMostReceiving = 4;
constexpr std::size_t kMostReading = 24;
constexpr std::size_t kWanted = 2;  // slots a stream and side, before chunks are as large as they may

}  // namespace

std::size_t ConcatMemory::bytes(int rank, int receiver) const {
  return slot * (reading[static_cast<std::size_t>(rank)] + (rank == receiver ? at_once * receiving : 0));
}

std::optional<ConcatMemory> divide_memory(const CommonOptions& options, const std::vector<int>& nodes,
                                          const std::vector<int>& givers, int receiver) {
  const int home = nodes[static_cast<std::size_t>(receiver)];
  ConcatMemory memory;
  std::map<int, std::size_t> on_node;  // givers
  std::size_t others = 0;
  for (const int giver : givers) {
    ++on_node[nodes[static_cast<std::size_t>(giver)]];
    if (giver != receiver) ++others;
  }
  const std::size_t neighbours = on_node[home];
  memory.at_once = std::min(others, kMostAtOnce);
  std::size_t most_streams = neighbours + memory.at_once;
  for (const auto& [node, count] : on_node) most_streams = std::max(most_streams, count);

  const auto all = static_cast<std::size_t>(options.memory);
  memory.chunk_size = options.chunk_size;
  if (memory.chunk_size == 0) {
    const std::int64_t most = neighbours == givers.size() ? kNeighbourChunk : kDefaultChunk;
    std::int64_t size = steady_chunk(options, std::min(most, options.memory / 16));
    while (size > base::kLeafSize && all / slot_bytes(size) < kWanted * most_streams) size -= base::kLeafSize;
    memory.chunk_size = size;
  }
  memory.slot = slot_bytes(memory.chunk_size);
  const std::size_t slots = all / memory.slot;
  if (slots < most_streams) return std::nullopt;
  if (memory.at_once > 0) {
    const std::size_t share = neighbours > 0 ? std::max((slots - neighbours) / 2, memory.at_once) : slots;
    memory.receiving = std::clamp<std::size_t>(share / memory.at_once, 1, kMostReceiving);
  }
  memory.reading.assign(nodes.size(), 0);
  for (const int giver : givers) {
    const int node = nodes[static_cast<std::size_t>(giver)];
    const std::size_t left = node == home ? slots - memory.at_once * memory.receiving : slots;
    memory.reading[static_cast<std::size_t>(giver)] = std::min(left / on_node[node], kMostReading);
  }
  return memory;
}

}  // namespace argosy::command
