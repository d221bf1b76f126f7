#include "core/chain.h"

namespace argosy::core {

std::optional<Hop> Chain::incoming(int rank, int /*lane*/, std::uint64_t nth) const {
  const int from = parent(rank);
  return from == kNobody ? std::nullopt : std::optional(Hop{from, nth});
}

std::vector<int> Chain::to(int rank, std::uint64_t /*chunk*/) const {
  const int next = circle_.position(rank) + 1;
  return next < circle_.ranks() ? std::vector{circle_.rank_at(next)} : std::vector<int>{};
}

int Chain::parent(int rank) const {
  const int position = circle_.position(rank);
  return position == 0 ? kNobody : circle_.rank_at(position - 1);
}

}  // namespace argosy::core
