// The part of the Writer that fills folders under another name and shows them as a whole (--publish).
#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdio>

#include "base/error.h"
#include "file/temporary.h"
#include "file/writer.h"

namespace argosy::file {

namespace {

using base::Kind;
using core::Type;

constexpr const char* kOnlyNew =
    "--publish is for a folder that is new, and this one is not as it would be shown: "
    "without --publish it is filled where it stands";

// Never over anything. False with errno.
bool rename_new(int folder, const std::string& from, const std::string& to) {
  if (renameat2(folder, from.c_str(), folder, to.c_str(), RENAME_NOREPLACE) == 0) return true;
  if (errno != EINVAL && errno != ENOSYS) return false;
  // A file system or a kernel that can't promise it: looked at before, under the tree's lock.
  struct stat status = {};
  if (fstatat(folder, to.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0) {
    errno = EEXIST;
    return false;
  }
  return errno == ENOENT && renameat(folder, from.c_str(), folder, to.c_str()) == 0;
}

std::string top_of(const std::string& path) { return path.substr(0, path.find('/')); }

// The same path in the folder that is shown at the end.
std::string in_tree(const std::string& path) {
  const std::string top = top_of(path);
  return tree_name(top) + path.substr(top.size());
}

}  // namespace

// The name by which the user knows it, whatever it has now.
std::string Writer::shown(const std::string& path) { return folder_->shown(told_path(path)); }

// The path that the manifest has for it.
std::string Writer::told_path(const std::string& path) {
  if (!settings_.publish) return path;
  const std::lock_guard lock(mutex_);
  const auto found = staged_.find(top_of(path));
  return found == staged_.end() ? path : found->second + path.substr(found->first.size());
}

// The name that it has until all is there.
std::string Writer::name_here(const core::Entry& entry) const {
  const bool in_folder = is_beneath(entry) || entry.type == Type::kFolder;
  if (!settings_.publish || !in_folder || shown_already_.contains(top_of(entry.path))) return entry.path;
  return in_tree(entry.path);
}

// The entry under that name.
core::Entry Writer::staged(const core::Entry& entry) {
  core::Entry moved = entry;
  if (!is_beneath(entry) && entry.type == Type::kFolder) {
    const std::string name = tree_name(entry.path);
    const std::lock_guard lock(mutex_);
    staged_.emplace(name, entry.path);
  }
  moved.path = name_here(entry);
  // A single file among the sources is no tree.
  const bool links_into_folder = entry.type == Type::kHardLink && entry.link.find('/') != std::string::npos &&
                                 !shown_already_.contains(top_of(entry.link));
  if (links_into_folder) moved.link = in_tree(entry.link);
  return moved;
}

void Writer::publish_trees() {
  for (const auto& [name, path] : staged_) {
    if (!rename_new(folder_->fd(), name, path))
      throw base::system_error(Kind::kDestination, folder_->shown(path), errno, "can't be shown");
  }
  staged_.clear();
}

void show_left_tree(int above, const std::string& name) {
  const std::string hidden = tree_name(name);
  struct stat status = {};
  if (fstatat(above, hidden.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISDIR(status.st_mode)) return;
  // Where that can't be done it stays, for a run that publishes or for `clean`, and all is moved.
  static_cast<void>(renameat2(above, hidden.c_str(), above, name.c_str(), RENAME_NOREPLACE));
}

void show_left_tree(const std::string& path, const std::string& shown) {
  const std::string name(name_of(path));
  const std::string above = path.substr(0, path.size() - name.size());
  const base::Fd folder(open(above.empty() ? "." : above.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  struct stat status = {};
  if (!folder.valid() || fstatat(folder.get(), tree_name(name).c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) return;
  const Lock lock(folder.get(), lock_name(name), shown);
  if (fstatat(folder.get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0) return;
  // Nobody but its owner could look into it so far.
  if (fchmodat(folder.get(), tree_name(name).c_str(), 0777U & ~file_creation_mask(), 0) != 0)
    throw base::system_error(Kind::kDestination, shown, errno, "can't be opened");
  show_left_tree(folder.get(), name);
}

// Whether it belongs to a folder that stands there under its own name: an earlier run may have shown it here and been
// killed before the other nodes had shown theirs.
bool Writer::is_shown_already(const core::Entry& entry) {
  if (is_beneath(entry)) return shown_already_.contains(top_of(entry.path));
  if (entry.type != Type::kFolder) return false;
  struct stat status = {};
  if (fstatat(folder_->fd(), entry.path.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) return false;
  shown_already_.insert(entry.path);
  return true;
}

// Nothing is written into what is shown: all of it is in place, or it is refused.
void Writer::compare_with_shown(const core::Page& page, std::size_t at, core::Examination& found) {
  const core::Entry& entry = page.entries[at];
  if (would_change(entry)) {
    const std::string top = top_of(entry.path);
    const base::Error error = base::system_error(Kind::kDestination, folder_->shown(top), EEXIST, kOnlyNew);
    if (top == entry.path) throw base::Error(error);
    // One line for the folder, from finish().
    found.failed.push_back(static_cast<std::uint32_t>(at));
    const std::lock_guard lock(mutex_);
    refused_.emplace(top, Refused{error.failure(), 1});
    return;
  }
  if (settings_.only_ask) return;
  if (entry.type == Type::kFile) return put_in_place_in_manifest(entry, *parent(entry.path));
  if (entry.type == Type::kHardLink) {
    links_.add({entry.path, entry.link});  // counted when it is found there
    return;
  }
  ++(entry.type == Type::kFolder ? found.folders : found.links_and_specials);
  ++found.in_place;
  put_in_manifest(entry, *parent(entry.path), std::nullopt);
}

}  // namespace argosy::file
