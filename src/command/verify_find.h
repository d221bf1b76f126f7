// What `verify` compares: two trees laid side by side, or a tree beside a saved manifest, one path after another. Rank
// 0 finds, on an I/O thread; all ranks look at what was found.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/error.h"
#include "core/manifest.h"
#include "file/listing.h"
#include "file/metadata.h"

namespace argosy::command {

// What is to be looked at of one path, and what has been found.
struct Compared {
  std::string path;
  std::vector<std::string> found;
  bool attributes = false;
  std::int64_t offset = 0;
  std::int64_t length = 0;  // contents, 0: none
  std::string line;         // of a manifest, instead of all this
};

// Finds the items, one after another; on an I/O thread.
class Finder {
 public:
  virtual ~Finder() = default;
  // Nothing at the end; what can't be read is appended to `failures`. Throws base::Error (kSource): it can't go on.
  virtual std::optional<Compared> next(std::vector<base::Failure>& failures) = 0;
};

// What of a folder a manifest does not name, beneath what it does name. Of the names that have been named their hashes
// are held.
class NotNamed {
 public:
  explicit NotNamed(std::string directory) : directory_(std::move(directory)) {}
  // Blocks. Throws base::Error (kSource): the folder can't be read.
  void open();
  void name(const std::string& path);
  // When all have been named: the next that was not; nothing at the end.
  std::optional<Compared> next(std::vector<base::Failure>& failures);

 private:
  std::string directory_;
  std::vector<std::uint64_t> named_;
  bool sorted_ = false;
  std::set<std::string> tops_;
  std::unique_ptr<file::Listing> listing_;
};

// What is in either of two folders, in the order of their names.
std::unique_ptr<Finder> find_side_by_side(std::string a, std::string b, file::Metadata what);
// The manifest's lines.
std::unique_ptr<Finder> find_lines(std::string manifest);
// The same, and then what is beneath the same folders of `directory` and not named.
std::unique_ptr<Finder> find_line_by_line(std::string manifest, std::string directory);

}  // namespace argosy::command
