#include "file/stage.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "file/temporary.h"

namespace argosy::file {

namespace {

using base::Kind;

std::string hidden_name(const std::string& path) { return stage_name(name_of(path)); }

// The folder called `name` in `above`, with its lock; null where another run has it, or has just taken it away.
std::shared_ptr<const OpenFolder> open_locked(const OpenFolder& above, const std::string& name) {
  auto folder = open_in(above, name);
  // A file system that knows no locks has no other run to tell of either.
  if (!folder || (flock(folder->fd.get(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK)) return nullptr;
  struct stat status = {};
  const bool is_there = fstatat(above.fd.get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0 &&
                        status.st_ino == folder->inode && status.st_dev == folder->device;
  return is_there ? folder : nullptr;
}

}  // namespace

Stage::Stage(std::shared_ptr<const OpenFolder> above, const std::string& path)
    : above_(std::move(above)), path_(path), name_(name_of(path)), hidden_(hidden_name(path)) {}

std::shared_ptr<Stage> Stage::make(std::shared_ptr<const OpenFolder> above, const std::string& path) {
  std::shared_ptr<Stage> stage(new Stage(std::move(above), path));
  const int fd = stage->above_->fd.get();
  if (mkdirat(fd, stage->hidden_.c_str(), 0700) != 0) {
    // Left by a run whose folder somebody has taken away since.
    if (errno != EEXIST) return nullptr;
    const auto left = open_left_stage(*stage->above_, path);
    if (left) remove_left_stage(*stage->above_, *left, path);
    if (!left || mkdirat(fd, stage->hidden_.c_str(), 0700) != 0) return nullptr;
  }
  // Another run that came upon it while it was not locked yet may have it now: then it is that one's to take away.
  stage->folder_ = open_locked(*stage->above_, stage->hidden_);
  return stage->folder_ ? stage : nullptr;
}

void Stage::show(const std::string& shown) const {
  const int fd = above_->fd.get();
  if (renameat(fd, hidden_.c_str(), fd, name_.c_str()) != 0) move_files(shown);
}

// Somebody has put something into the folder meanwhile, or this file system does not rename folders so: what this run
// has made is added to it.
void Stage::move_files(const std::string& shown) const {
  const auto there = open_in(*above_, name_);
  if (!there) throw base::system_error(Kind::kDestination, shown, errno, "can't be put in place");
  for (const std::string& name : names_in(folder_->fd.get())) {
    if (renameat(folder_->fd.get(), name.c_str(), there->fd.get(), name.c_str()) != 0)
      throw base::system_error(Kind::kDestination, fmt::format("{}/{}", shown, name), errno, "can't be put in place");
  }
  if (unlinkat(above_->fd.get(), hidden_.c_str(), AT_REMOVEDIR) != 0)
    throw base::system_error(Kind::kDestination, shown, errno, "what it was filled as can't be removed");
}

Stage::Left Stage::left() const {
  Left left;
  struct stat status = {};
  for (const std::string& name : names_in(folder_->fd.get())) {
    ++left.files;
    if (fstatat(folder_->fd.get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0) left.bytes += status.st_size;
  }
  return left;
}

std::shared_ptr<const OpenFolder> open_left_stage(const OpenFolder& above, const std::string& path) {
  return open_locked(above, hidden_name(path));
}

void remove_left_stage(const OpenFolder& above, const OpenFolder& stage, const std::string& path) {
  for (const std::string& name : names_in(stage.fd.get())) static_cast<void>(unlinkat(stage.fd.get(), name.c_str(), 0));
  static_cast<void>(unlinkat(above.fd.get(), hidden_name(path).c_str(), AT_REMOVEDIR));
}

}  // namespace argosy::file
