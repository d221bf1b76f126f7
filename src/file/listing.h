// All that is beneath a folder in an order that depends on nothing but the names: folders before what is in them, the
// names of a folder bytewise. Two listings can be laid side by side. Held are names in the folders on the way down, of
// each so many at a time: a folder with more is read several times.
#pragma once

#include <sys/stat.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/fd.h"
#include "file/folders.h"

namespace argosy::file {

class Listing {
 public:
  struct Item {
    std::string path;  // beneath the folder
    struct stat status = {};
    std::optional<base::Failure> failure;  // it can't be looked at, or, being a folder, not into
  };
  // Blocks, as next() does. Throws base::Error (kSource): `path` can't be opened.
  explicit Listing(const std::string& path, std::size_t most_names = 64 * 1024);

  // Nothing at the end. Leftovers of interrupted runs are passed over.
  std::optional<Item> next();
  Folders& folders() { return folders_; }
  const std::string& path() const { return path_; }
  std::string shown(std::string_view beneath) const;

 private:
  struct Level {
    std::string path;
    std::vector<std::string> names;  // the last first
    bool more = false;               // behind these
  };
  void push(std::string path);
  void fill(Level& level, const std::string& after);

  std::string path_;
  std::size_t most_names_;
  base::Fd base_;
  Folders folders_;
  std::vector<Level> levels_;
};

// Whether `a` comes before `b` in a listing: components are compared one by one.
bool comes_before(std::string_view a, std::string_view b);

}  // namespace argosy::file
