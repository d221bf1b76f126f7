// Open folders beneath a base, by path: a bounded number of descriptors in a process however many folders and bases
// there are, and never a symbolic link on the way. Paths may be longer than the kernel takes (PATH_MAX): those are
// walked a name at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include <sys/types.h>

#include "base/fd.h"

namespace argosy::file {

struct OpenFolder {
  base::Fd fd;
  dev_t device = 0;
  ino_t inode = 0;
  // What is made in it gets its group and not the process's.
  bool gives_group = false;
  // What is made in it gets an ACL.
  bool gives_acl = false;
};

// The last component of `path`, and what is before it without the slash.
std::string_view name_of(std::string_view path);
std::string_view parent_of(std::string_view path);

// The folder called `name` in `above`, never through a symbolic link. Null, with errno set, where there is none.
// Blocks.
std::shared_ptr<const OpenFolder> open_in(const OpenFolder& above, const std::string& name);

// The names in the open folder `folder`, or in the one called `name` in it, never through a symbolic link; none where
// it can't be read. Blocks.
std::vector<std::string> names_in(int folder, const std::string& name = ".");

class Folders {
 public:
  // `base` is open for as long as this lives.
  explicit Folders(int base) : base_(base) {}
  ~Folders();
  Folders(const Folders&) = delete;
  Folders& operator=(const Folders&) = delete;

  // The folder `path` beneath the base; "" is the base itself. Any thread; blocks. Null, with errno set, where there is
  // none: ENOTDIR or ELOOP where a symbolic link or something else is in the way.
  std::shared_ptr<const OpenFolder> open(std::string_view path);
  // Another folder has that name now: the next open() looks anew. Any thread.
  void forget(const std::string& path);
  void forget_all();
  int base() const { return base_; }

 private:
  using Kept = std::list<std::pair<std::string, std::shared_ptr<const OpenFolder>>>;
  std::shared_ptr<const OpenFolder> find(std::string_view path, std::uint64_t& forgotten);
  int open_by_names(std::string_view path);
  void forget_last();
  void keep(const std::string& path, std::shared_ptr<const OpenFolder> folder, std::uint64_t forgotten);

  int base_;
  std::mutex mutex_;
  std::uint64_t forgotten_ = 0;  // how many have been
  Kept kept_;                    // the last used first
  std::unordered_map<std::string_view, Kept::iterator> by_path_;
};

}  // namespace argosy::file
