#include "core/route.h"

namespace argosy::core {

int Direct::from(int rank, std::uint64_t /*chunk*/) const { return rank == to_ ? from_ : kNobody; }

std::vector<int> Direct::to(int rank, std::uint64_t /*chunk*/) const {
  return rank == from_ ? std::vector{to_} : std::vector<int>{};
}

int Direct::receipts_to(int rank) const { return rank == to_ ? from_ : kNobody; }

std::vector<int> Direct::receipts_from(int rank) const {
  return rank == from_ ? std::vector{to_} : std::vector<int>{};
}

}  // namespace argosy::core
