#include "engine/pool.h"

#include <cassert>

namespace argosy::engine {

Pool::Pool(std::span<std::byte> memory, std::size_t slot_bytes)
    : memory_(memory), slot_bytes_(slot_bytes), slots_(memory.size() / slot_bytes) {
  for (std::size_t slot = slots_; slot > 0; --slot) free_.push_back(slot - 1);
}

std::optional<std::size_t> Pool::acquire() {
  if (free_.empty()) return std::nullopt;
  const std::size_t slot = free_.back();
  free_.pop_back();
  return slot;
}

void Pool::release(std::size_t slot) {
  assert(slot < slots_ && free_.size() < slots_);
  free_.push_back(slot);
}

}  // namespace argosy::engine
