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

constexpr const char* kOnlyNew = "--publish is for a folder that is new, and this one is not as it would be shown";

std::string top_of(const std::string& path) { return path.substr(0, path.find('/')); }

// The same path in the folder that is shown at the end.
std::string in_tree(const std::string& path) {
  const std::string top = top_of(path);
  return tree_name(top) + path.substr(top.size());
}

}  // namespace

// The name by which the user knows it, whatever it has now.
std::string Writer::shown(const std::string& path) {
  if (!settings_.publish) return folder_->shown(path);
  const std::lock_guard lock(mutex_);
  const auto found = staged_.find(top_of(path));
  if (found == staged_.end()) return folder_->shown(path);
  return folder_->shown(found->second + path.substr(found->first.size()));
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
    if (renameat2(folder_->fd(), name.c_str(), folder_->fd(), path.c_str(), RENAME_NOREPLACE) != 0) {
      throw base::system_error(Kind::kDestination, folder_->shown(path), errno, "can't be shown");
    }
  }
  staged_.clear();
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
  if (entry.type == Type::kFile || settings_.only_ask) return;
  if (entry.type == Type::kHardLink) {
    links_.add({entry.path, entry.link});  // counted when it is found there
    return;
  }
  ++(entry.type == Type::kFolder ? found.folders : found.links_and_specials);
  ++found.in_place;
}

}  // namespace argosy::file
