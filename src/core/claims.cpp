#include "core/claims.h"

#include <span>

#include "base/digest.h"

namespace argosy::core {

namespace {

std::uint64_t key_of(std::string_view path) { return base::checksum_of(std::as_bytes(std::span(path))); }

}  // namespace

Claims::Ruling Claims::claim(std::string_view path, bool folder, int giver) {
  const auto [at, is_new] = holders_.try_emplace(key_of(path), Holder{giver, folder, false});
  Holder& holder = at->second;
  if (is_new || (folder && holder.folder)) return {};
  const int other = holder.giver;
  if (other == giver && !holder.contested) {
    holder.folder = folder;
    return {};
  }
  const bool first = !holder.contested;
  holder.contested = true;
  if (folder) {
    // What was there before it is refused when it is claimed again.
    holder.folder = true;
    holder.giver = giver;
    return {true, other, first};
  }
  return {false, other, first};
}

bool Claims::is_refused(std::string_view path, int giver) const {
  const auto found = holders_.find(key_of(path));
  if (found == holders_.end()) return false;
  const Holder& holder = found->second;
  return holder.contested || holder.folder || holder.giver != giver;
}

}  // namespace argosy::core
