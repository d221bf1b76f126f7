#include "core/route.h"

namespace argosy::core {

std::optional<Hop> Direct::incoming(int rank, int /*lane*/, std::uint64_t nth) const {
  return rank == to_ ? std::optional(Hop{from_, nth}) : std::nullopt;
}

std::vector<int> Direct::to(int rank, std::uint64_t /*chunk*/) const {
  return rank == from_ ? std::vector{to_} : std::vector<int>{};
}

}  // namespace argosy::core
