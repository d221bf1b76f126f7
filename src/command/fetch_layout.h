// Who does what in a fetch, and how its memory is divided: the same on every rank, from what all know. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "command/options.h"

namespace argosy::command {

struct FetchLayout {
  std::int64_t chunk_size = 0;
  std::size_t slot = 0;               // bytes
  std::vector<std::size_t> slots;     // of each rank, all together
  std::vector<std::size_t> fetching;  // of these for what it fetches
  std::vector<int> members;           // the ranks that write, in order
  std::vector<int> homes;             // of each rank, an index into `members`
  // Of member `rank`'s slots, those for chunks in transit around the ring, and those for chunks that enter through it.
  std::size_t transit(int rank) const;
  std::size_t entering(int rank) const;
  // For bodies that rank 0 alone takes, in their order: how many chunks may wait for their turn on any one rank.
  int output_window() const;
};

// `leaders` has for each rank its node's lowest rank. Throws base::Error (kUsage): too little memory for so many ranks.
FetchLayout plan_memory(const CommonOptions& options, int connections, const std::vector<int>& leaders);

// Once it is known who writes: fills in members and homes. A rank's data enter through itself, through a member of its
// node, or else through one of all.
void settle_members(FetchLayout& layout, const std::vector<int>& leaders, const std::vector<std::int64_t>& writes);

}  // namespace argosy::command
