// What a folder is with all that is beneath it, but for its name and what its files contain, in a few numbers: the same
// in whatever order it is walked, and on whichever host. Two folders that agree are taken to be the same as `send`
// takes a file of the source's size and time to be.
#pragma once

#include <cstdint>
#include <optional>
#include <unordered_map>

#include "base/digest.h"
#include "core/manifest.h"

namespace argosy::core {

// Sums modulo 2^128, over all that the folder holds, of a hash of the entry's names together with
struct TreeSignature {
  base::Digest entries;     // type, size, modification time, device, a symbolic link's target,
  base::Digest owners;      // owner and group,
  base::Digest modes;       // permissions,
  base::Digest attributes;  // extended attributes and ACLs
  friend bool operator==(const TreeSignature&, const TreeSignature&) = default;
};

// Takes the entries of one folder, itself first, as they are listed. Held is a record of each file with several names.
class TreeSigner {
 public:
  // `entry.links` tells how many names it has.
  void add(const Entry& entry);
  // Of what was added. Nothing where that is no folder's listing.
  std::optional<TreeSignature> finish() const;

 private:
  struct File {
    TreeSignature what;  // of it alone, without names
    base::Digest names;  // the sum of their hashes
    std::uint64_t count = 1;
  };
  static void put(const File& file, TreeSignature& sums);

  TreeSignature sums_;
  std::unordered_map<std::uint64_t, File> several_;  // by the hash of the name that was listed first
  bool listed_ = true;                               // each name was, that a hard link had to
};

}  // namespace argosy::core
