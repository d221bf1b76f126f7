#include "core/manifest_check.h"

#include <span>

#include "base/digest.h"

namespace argosy::core {

namespace {

std::uint64_t key_of(std::string_view text) { return base::checksum_of(std::as_bytes(std::span(text))); }

}  // namespace

bool FolderNames::add(std::string_view name) {
  const std::uint64_t key = key_of(name);
  return held_.size() < kMost ? held_.add(key) : !held_.contains(key);
}

bool FolderNames::has(std::string_view name) const { return held_.contains(key_of(name)); }

std::optional<ManifestCheck::Wrong> ManifestCheck::take(const Page& page) {
  for (const Entry& entry : page.entries) {
    // Of what can't be read nothing is made.
    if (!entry.exists()) continue;
    if (const char* why = look_at(entry)) return Wrong{entry.path, why};
  }
  return std::nullopt;
}

const char* ManifestCheck::look_at(const Entry& entry) {
  const std::string_view path = entry.path;
  const std::size_t slash = path.rfind('/');
  FolderNames* names = &tops_;
  if (slash != std::string_view::npos) {
    const std::uint64_t folder = key_of(path.substr(0, slash));
    if (!begun_ || folder != listed_) {
      if (folders_.erase(folder) == 0) return "the manifest names no folder for it, or has listed that one already";
      begun_ = true;
      listed_ = folder;
      names_.begin();
    }
    names = &names_;
  }
  if (!names->add(path.substr(slash + 1))) return "the manifest names it twice";
  if (entry.type == Type::kFolder) folders_.insert(key_of(path));
  if (entry.several) several_.add(key_of(path));
  if (entry.type == Type::kHardLink && !several_.contains(key_of(entry.link)))
    return "the manifest names nothing that it could be another name of";
  return nullptr;
}

}  // namespace argosy::core
