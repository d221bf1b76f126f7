#include "base/key_set.h"

#include <algorithm>
#include <utility>

namespace argosy::base {

namespace {

constexpr std::size_t kSlotsAtFirst = 64;

// 0 is no key.
std::uint64_t kept(std::uint64_t key) { return std::max<std::uint64_t>(key, 1); }

}  // namespace

// Where it is, or would be. There is a free slot.
std::size_t KeySet::place_of(std::uint64_t key) const {
  std::size_t at = key & (slots_.size() - 1);
  while (slots_[at] != 0 && slots_[at] != key) at = (at + 1) & (slots_.size() - 1);
  return at;
}

void KeySet::grow() {
  const std::size_t slots = std::max(kSlotsAtFirst, 2 * slots_.size());
  const std::vector<std::uint64_t> before = std::exchange(slots_, std::vector<std::uint64_t>(slots));
  for (const std::uint64_t key : before) {
    if (key != 0) slots_[place_of(key)] = key;
  }
}

bool KeySet::add(std::uint64_t key) {
  if (used_ >= slots_.size() / 4 * 3) grow();
  std::uint64_t& slot = slots_[place_of(kept(key))];
  if (slot != 0) return false;
  slot = kept(key);
  ++used_;
  return true;
}

bool KeySet::contains(std::uint64_t key) const { return !slots_.empty() && slots_[place_of(kept(key))] != 0; }

void KeySet::clear() {
  if (slots_.size() > kSlotsAtFirst) slots_ = std::vector<std::uint64_t>();
  std::fill(slots_.begin(), slots_.end(), 0);
  used_ = 0;
}

}  // namespace argosy::base
