#include "command/fetch_layout.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/digest.h"
#include "base/error.h"
#include "command/move.h"

namespace argosy::command {

namespace {

constexpr std::int64_t kDefaultChunk = 1 << 20;
// Two to fetch into, two in transit, and some for others.
constexpr std::size_t kFewestSlots = 8;
constexpr std::size_t kMostForOthers = 24;

}  // namespace

FetchLayout plan_memory(const CommonOptions& options, int connections, const std::vector<int>& leaders) {
  const auto ranks = static_cast<std::int64_t>(leaders.size());
  std::int64_t together = 1;
  for (const int leader : leaders) {
    together = std::max<std::int64_t>(together, std::count(leaders.begin(), leaders.end(), leader));
  }
  const std::int64_t a_rank = options.memory / together;
  FetchLayout layout;
  layout.chunk_size = options.chunk_size;
  if (layout.chunk_size == 0) {
    // Each connection fills one slot while another is under way.
    const std::int64_t a_rank_connections = (connections + ranks - 1) / ranks;
    const std::int64_t a_slot = a_rank / 2 / (2 * a_rank_connections + 2);
    layout.chunk_size = steady_chunk(options, std::min({kDefaultChunk, a_slot, a_rank / 16}));
  }
  layout.slot = slot_bytes(layout.chunk_size);
  // Heads and records come on top of what --memory counts, as with other commands' smallest.
  const std::size_t slots = static_cast<std::size_t>(a_rank / layout.chunk_size);
  if (slots < kFewestSlots) {
    throw base::Error(base::Kind::kUsage, {}, 0,
                      fmt::format("--memory: {} ranks on a node need {} bytes or more to fetch", together,
                                  static_cast<std::int64_t>(kFewestSlots) * layout.chunk_size * together));
  }
  // All connections may come to be on one rank. More slots than these only take time to populate.
  const std::size_t fetching =
      std::min(slots / 2, std::max(kFewestSlots, 2 * static_cast<std::size_t>(connections) + 2));
  const std::size_t others = ranks == 1 ? 0 : std::min(slots / 2, kMostForOthers);
  layout.slots.assign(leaders.size(), fetching + others);
  layout.fetching.assign(leaders.size(), fetching);
  return layout;
}

void settle_members(FetchLayout& layout, const std::vector<int>& leaders, const std::vector<std::int64_t>& writes) {
  for (std::size_t rank = 0; rank < writes.size(); ++rank) {
    if (writes[rank] != 0) layout.members.push_back(static_cast<int>(rank));
  }
  const auto position = [&](auto fits) {
    const auto found = std::find_if(layout.members.begin(), layout.members.end(), fits);
    return found == layout.members.end() ? -1 : static_cast<int>(found - layout.members.begin());
  };
  for (std::size_t rank = 0; rank < leaders.size() && !layout.members.empty(); ++rank) {
    int home = position([&](int member) { return member == static_cast<int>(rank); });
    const int node = leaders[rank];
    if (home < 0) home = position([&](int member) { return leaders[static_cast<std::size_t>(member)] == node; });
    if (home < 0) home = static_cast<int>(rank % layout.members.size());
    layout.homes.push_back(home);
  }
  if (layout.members.empty()) layout.homes.assign(leaders.size(), 0);
}

std::size_t FetchLayout::transit(int rank) const {
  if (members.size() < 2) return 0;
  const std::size_t others = slots[static_cast<std::size_t>(rank)] - fetching[static_cast<std::size_t>(rank)];
  return members.size() == slots.size() ? others : std::max<std::size_t>(2, others * 3 / 4);
}

std::size_t FetchLayout::entering(int rank) const {
  return slots[static_cast<std::size_t>(rank)] - fetching[static_cast<std::size_t>(rank)] - transit(rank);
}

int FetchLayout::output_window() const {
  const std::size_t fewest = *std::min_element(fetching.begin(), fetching.end());
  return static_cast<int>(slots.size() == 1 ? fewest : std::min(fewest, slots[0] - fetching[0]));
}

}  // namespace argosy::command
