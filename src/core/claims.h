// Who of several givers has which path, where all of them put their files beneath one folder: a path is one giver's, or
// it is refused. Folders are everybody's. Nothing here depends on the order in which givers come. Pure.
//
// Held is a record of about 40 bytes for each path: of its digest, so that two of 2^32 paths may be taken for one.
#pragma once

#include <cstdint>
#include <string_view>
#include <unordered_map>

namespace argosy::core {

class Claims {
 public:
  // What comes of a claim.
  struct Ruling {
    bool granted = true;
    int other = -1;      // where it is not: a giver that has the path, too
    bool first = false;  // and nobody was refused it before
  };
  // `giver` has `path`, as a folder or as something else. A path that two givers have is nobody's, a folder's name is
  // the folder's: claimed a second time, once all have been heard, it is refused to the giver that was granted it
  // first. The same claim of the same giver changes nothing.
  Ruling claim(std::string_view path, bool folder, int giver);
  // What claim() would say of something that is no folder.
  bool is_refused(std::string_view path, int giver) const;

 private:
  struct Holder {
    int giver = 0;
    bool folder = false;
    bool contested = false;
  };
  std::unordered_map<std::uint64_t, Holder> holders_;
};

}  // namespace argosy::core
