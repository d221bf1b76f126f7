#include "file/first_names.h"

#include <algorithm>
#include <array>
#include <span>
#include <utility>

#include "base/digest.h"
#include "base/error.h"
#include "file/temporary.h"

namespace argosy::file {

namespace {
constexpr std::size_t kSlotsAtFirst = 1024;
}  // namespace

FirstNames::Slot& FirstNames::find(std::uint64_t file) {
  std::size_t at = file & (slots_.size() - 1);
  while (slots_[at].file != 0 && slots_[at].file != file) at = (at + 1) & (slots_.size() - 1);
  return slots_[at];
}

void FirstNames::grow() {
  const std::vector<Slot> before = std::exchange(slots_, std::vector<Slot>(std::max(kSlotsAtFirst, 2 * slots_.size())));
  for (const Slot& slot : before) {
    if (slot.file != 0) find(slot.file) = slot;
  }
}

std::uint64_t FirstNames::first(const struct stat& status, const std::string& path) {
  if (used_ >= slots_.size() / 4 * 3) grow();
  const std::array<std::uint64_t, 2> id = {status.st_dev, status.st_ino};
  const std::uint64_t file = std::max<std::uint64_t>(1, base::checksum_of(std::as_bytes(std::span(id))));
  Slot& slot = find(file);
  if (slot.file == 0) {
    slot = {file, hash_of(path)};
    ++used_;
    if (kept_.size() < texts_) kept_.emplace(slot.name, path);
  }
  return slot.name;
}

std::string FirstNames::text(std::uint64_t name) const {
  const auto found = kept_.find(name);
  return found == kept_.end() ? "another name" : base::printable(found->second);
}

bool LinkGroups::agree(std::uint64_t one, std::uint64_t other) {
  const std::array<std::uint64_t, 2> pair = {one, other};
  if (!pairs_.add(base::checksum_of(std::as_bytes(std::span(pair))))) return true;
  const bool new_one = ones_.add(one);
  return others_.add(other) && new_one;
}

}  // namespace argosy::file
