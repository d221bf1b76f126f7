// What the pages of one manifest say together: each folder is named before what is in it, all that is in a folder comes
// together, no name comes twice, and a hard link leads to what may have one. What says otherwise is no honest manifest.
// Pure.
//
// Held are hashes: of folders that have been named and whose own names have not come yet, of the names in the folder
// that is being listed, and of what may have hard links.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>

#include "base/key_set.h"
#include "core/manifest.h"

namespace argosy::core {

// The names in one folder, one after another.
class FolderNames {
 public:
  // Of more the first are held: that one of the others comes twice is not seen.
  static constexpr std::size_t kMost = 256 * 1024;
  // Another folder's come.
  void begin() { held_.clear(); }
  // False where it has come before.
  bool add(std::string_view name);
  bool has(std::string_view name) const;

 private:
  base::KeySet held_;
};

class ManifestCheck {
 public:
  // The manifest's next page. Nothing where it fits those before it; else what is wrong, after the path of which it is:
  // nothing may be made of the page then, nor of what follows.
  struct Wrong {
    std::string path;
    std::string why;
  };
  std::optional<Wrong> take(const Page& page);

 private:
  const char* look_at(const Entry& entry);

  bool begun_ = false;
  std::uint64_t listed_ = 0;                   // the folder whose names come
  FolderNames names_;                          // in it
  FolderNames tops_;                           // what is in no folder comes between the others
  std::unordered_set<std::uint64_t> folders_;  // whose names have not come yet
  base::KeySet several_;
};

}  // namespace argosy::core
