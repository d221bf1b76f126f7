// What `verify` compares: two trees laid side by side, or a tree beside a saved manifest, one path after another. Rank
// 0 finds, on an I/O thread; all ranks look at what was found.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/error.h"
#include "core/manifest.h"
#include "file/first_names.h"
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
  std::string line;         // of a manifest, instead of all this, and
  std::string first;        // of a hard link the path that the manifest has named before
};

// Finds the items, one after another; on an I/O thread.
class Finder {
 public:
  virtual ~Finder() = default;
  // Nothing at the end; what can't be read is appended to `failures`. Throws base::Error (kSource): it can't go on.
  virtual std::optional<Compared> next(std::vector<base::Failure>& failures) = 0;
};

// What of a folder a manifest does not name, beneath what it does name, and whether its hard links are those of the
// manifest: of these a short record each is held. Of the names that have been named their hashes
// are held, 8 bytes each; where they can be had again and are more than a few, only sums of them, from which it is seen
// in which parts there is another name: these are then looked at once more.
class NotNamed {
 public:
  using Names = std::function<std::unique_ptr<Finder>()>;
  // `again` gives all names once more; without it they are held.
  explicit NotNamed(std::string directory, Names again = {})
      : directory_(std::move(directory)), again_(std::move(again)) {}
  // Blocks. Throws base::Error (kSource): the folder can't be read.
  void open();
  void name(const Compared& item);
  // When all have been named: the next that was not, or whose hard links are others; nothing at the end.
  std::optional<Compared> next(std::vector<base::Failure>& failures);

 private:
  static constexpr std::size_t kParts = 1024;  // of all hashes
  struct Sum {
    std::uint64_t names = 0;
    std::uint64_t hashes = 0;  // modulo 2^64
    friend bool operator==(const Sum&, const Sum&) = default;
  };
  void begin();
  std::optional<Compared> next_while_summing(std::vector<base::Failure>& failures);
  bool go_on();
  void compare_links(const file::Listing::Item& here, std::uint64_t hash, std::vector<std::string>& found);
  bool is_beneath_named(const std::string& path) const;

  std::string directory_;
  Names again_;
  std::vector<std::uint64_t> named_;
  std::vector<Sum> sums_;
  bool too_many_ = false;  // to be held
  bool begun_ = false;
  bool summing_ = false;  // what is there, on the first way through
  std::vector<Sum> there_;
  std::vector<std::pair<std::uint64_t, std::uint64_t>> links_;  // hard links, and their first names
  std::vector<std::uint64_t> firsts_;
  std::unordered_map<std::uint64_t, std::string> texts_;
  file::FirstNames names_;
  file::LinkGroups groups_;
  std::deque<std::size_t> differ_;  // the parts still to be looked at
  std::vector<bool> looked_at_;     // those that are being looked at
  std::set<std::string> tops_;
  std::unique_ptr<file::Listing> listing_;
};

// The folder that `path`, which is no folder, is in.
std::string folder_of(const std::string& path);

// What is in either of two folders, in the order of their names; or two files.
std::unique_ptr<Finder> find_side_by_side(std::string a, std::string b, file::Metadata what);
// The manifest's lines.
std::unique_ptr<Finder> find_lines(std::string manifest);
// The same, and then what is beneath the same folders of `directory` and not named.
std::unique_ptr<Finder> find_line_by_line(const std::string& manifest, std::string directory);

}  // namespace argosy::command
