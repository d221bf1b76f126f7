// Which of a file's several names came first, in 16 bytes a file. Names are known by their hashes; of the first few
// the text is kept too, for messages.
#pragma once

#include <sys/stat.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/key_set.h"

namespace argosy::file {

class FirstNames {
 public:
  // Of at most `texts` names the text is kept.
  explicit FirstNames(std::size_t texts = 10'000) : texts_(texts) {}

  // The hash of the first path that was given with `status`'s device and inode: `path`'s own where it is the first.
  std::uint64_t first(const struct stat& status, const std::string& path);
  // The path that has this hash, printable; "another name" where its text was not kept.
  std::string text(std::uint64_t name) const;

 private:
  struct Slot {
    std::uint64_t file = 0;  // device and inode, hashed; 0: free
    std::uint64_t name = 0;
  };
  Slot& find(std::uint64_t file);
  void grow();

  std::size_t texts_;
  std::vector<Slot> slots_;  // a power of two of them, searched from where the hash says on
  std::size_t used_ = 0;
  std::unordered_map<std::uint64_t, std::string> kept_;
};

// Whether the names of two sides, or of one and what was told of it, belong together in the same way. A name is in a
// group on each side: that of the file that it is a name of.
class LinkGroups {
 public:
  // Groups of one name. False where it is the first to say that one of them is not the same as on the other side: one
  // name too many or too few is told once.
  bool agree(std::uint64_t one, std::uint64_t other);

 private:
  base::KeySet ones_;
  base::KeySet others_;
  base::KeySet pairs_;
};

}  // namespace argosy::file
