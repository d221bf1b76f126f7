// The pool: the fixed number of slots that bounds a rank's memory, whatever the size of the files. A slot holds one
// chunk's message. The slot given back last is taken first: it is still in the processor's cache.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

namespace argosy::engine {

class Pool {
 public:
  // Divides `memory`, which outlives the pool, into slots of `slot_bytes`.
  Pool(std::span<std::byte> memory, std::size_t slot_bytes);

  // A free slot's number, or nothing when all are in use. Never waits.
  std::optional<std::size_t> acquire();
  void release(std::size_t slot);
  std::span<std::byte> bytes(std::size_t slot) const { return memory_.subspan(slot * slot_bytes_, slot_bytes_); }
  std::size_t slots() const { return slots_; }
  std::size_t free() const { return free_.size(); }

 private:
  std::span<std::byte> memory_;
  std::size_t slot_bytes_;
  std::size_t slots_;
  std::vector<std::size_t> free_;
};

}  // namespace argosy::engine
