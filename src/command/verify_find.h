// What `verify` compares: two trees laid side by side, or a tree beside a saved manifest, one path after another. Rank
// 0 finds, on an I/O thread; all ranks look at what was found.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "file/metadata.h"

namespace argosy::command {

// What is to be looked at of one path, and what has been found.
struct Item {
  std::string path;
  std::vector<std::string> found;
  bool attributes = false;
  std::int64_t offset = 0;
  std::int64_t length = 0;  // contents, 0: none
  std::string line;         // of a manifest, instead of all this
};

// Rank 0: finds the items, one after another; on an I/O thread.
class Finder {
 public:
  virtual ~Finder() = default;
  // Nothing at the end; what can't be read is appended to `failures`.
  virtual std::optional<Item> next(std::vector<base::Failure>& failures) = 0;
};

// What is in either of two folders, in the order of their names.
std::unique_ptr<Finder> find_side_by_side(std::string a, std::string b, file::Metadata what);
// What the manifest names, and then what is beneath the same folders of `directory` and not named.
std::unique_ptr<Finder> find_line_by_line(std::string manifest, std::string directory);

}  // namespace argosy::command
