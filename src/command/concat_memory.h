// How `gather --concat` divides the nodes' memory into slots, and what its chunks are. Pure; the same on every rank.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "command/options.h"

namespace argosy::command {

struct ConcatMemory {
  std::int64_t chunk_size = 0;
  std::size_t slot = 0;              // bytes
  std::size_t at_once = 0;           // streams that the receiver takes from other ranks at the same time
  std::size_t receiving = 0;         // slots of each of these
  std::vector<std::size_t> reading;  // slots of each rank that gives; by rank

  // What `rank` needs in all.
  std::size_t bytes(int rank, int receiver) const;
};

// `nodes` has each rank's node. Nothing where a node's memory has not a slot for each of its streams.
std::optional<ConcatMemory> divide_memory(const CommonOptions& options, const std::vector<int>& nodes,
                                          const std::vector<int>& givers, int receiver);

}  // namespace argosy::command
