#include "core/ring.h"

namespace argosy::core {

int Ring::origin(std::uint64_t chunk) const { return circle_.rank_at(static_cast<int>(chunk % size())); }

std::optional<Hop> Ring::incoming(int rank, int /*lane*/, std::uint64_t nth) const {
  const int ranks = circle_.ranks();
  if (ranks == 1) return std::nullopt;
  const std::uint64_t round = nth / (size() - 1);
  // First the predecessor's own chunk, then its predecessor's, and so on back to the successor's.
  const int back = static_cast<int>(nth % (size() - 1)) + 1;
  const int position = circle_.position(rank);
  const int origin = position >= back ? position - back : position - back + ranks;
  const int predecessor = circle_.rank_at(position == 0 ? ranks - 1 : position - 1);
  return Hop{predecessor, round * size() + static_cast<std::uint64_t>(origin)};
}

std::vector<int> Ring::to(int rank, std::uint64_t chunk) const {
  const int position = circle_.position(rank);
  const int successor = position + 1 == circle_.ranks() ? 0 : position + 1;
  if (successor == static_cast<int>(chunk % size())) return {};  // that is where it came from
  return {circle_.rank_at(successor)};
}

int Ring::parent(int rank) const {
  const int position = circle_.position(rank);
  return position == 0 ? kNobody : circle_.rank_at((position - 1) / 2);
}

std::vector<int> Ring::children(int rank) const {
  std::vector<int> ranks;
  const int position = circle_.position(rank);
  for (int child = 2 * position + 1; child <= 2 * position + 2 && child < circle_.ranks(); ++child) {
    ranks.push_back(circle_.rank_at(child));
  }
  return ranks;
}

std::uint64_t Ring::held(int rank, std::uint64_t nth) const {
  const std::uint64_t round = nth / size();
  const std::uint64_t place = nth % size();
  if (place == 0) return round * size() + static_cast<std::uint64_t>(circle_.position(rank));
  return incoming(rank, 0, round * (size() - 1) + place - 1)->chunk;
}

}  // namespace argosy::core
