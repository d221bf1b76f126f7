#include "file/beneath.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <memory>
#include <string_view>
#include <utility>

#include "base/error.h"

namespace argosy::file {

namespace {

using base::Kind;

// `path` without its last component; "/" and "." at the end of the way up.
std::string folder_above(const std::string& path) {
  const std::size_t end = path.find_last_not_of('/');
  if (end == std::string::npos) return "/";
  const std::size_t slash = path.rfind('/', end);
  if (slash == std::string::npos) return ".";
  const std::size_t last = path.find_last_not_of('/', slash);
  return last == std::string::npos ? "/" : path.substr(0, last + 1);
}

// The folders that are missing on the way to `path`, the outermost first. Throws where something else is in the way.
std::vector<std::string> missing_folders(const std::string& path, std::string& existing) {
  std::vector<std::string> missing;
  existing = path;
  while (true) {
    struct stat status = {};
    if (stat(existing.c_str(), &status) == 0) {
      if (!S_ISDIR(status.st_mode))
        throw base::system_error(Kind::kDestination, existing, ENOTDIR, "can't be the destination");
      return {missing.rbegin(), missing.rend()};
    }
    if (errno != ENOENT) throw base::system_error(Kind::kDestination, existing, errno, "can't be the destination");
    missing.push_back(existing);
    existing = folder_above(existing);
  }
}

}  // namespace

void check_room(const std::string& path, std::int64_t bytes) {
  struct statvfs status = {};
  if (statvfs(path.c_str(), &status) != 0) throw base::system_error(Kind::kDestination, path, errno, "statvfs");
  if (status.f_blocks == 0) return;  // a file system that has no limit, or tells none
  const auto blocks = geteuid() == 0 ? status.f_bfree : status.f_bavail;
  std::int64_t room = 0;
  if (__builtin_mul_overflow(blocks, status.f_frsize, &room)) return;
  if (room >= bytes) return;
  throw base::Error(Kind::kDestination, path, ENOSPC,
                    fmt::format("No space left on device: {} bytes are needed, {} are free", bytes, room));
}

Folder::Folder(std::string path, std::int64_t bytes) : path_(std::move(path)) {
  std::string existing;
  const std::vector<std::string> missing = missing_folders(path_, existing);
  check_room(existing, bytes);
  try {
    for (const std::string& folder : missing) {
      if (mkdir(folder.c_str(), 0777) == 0) {
        made_.push_back(folder);
      } else if (errno != EEXIST) {
        throw base::system_error(Kind::kDestination, folder, errno, "can't be made");
      }
    }
    fd_ = base::Fd(open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd_.valid()) throw base::system_error(Kind::kDestination, path_, errno, "can't be the destination");
  } catch (const base::Error&) {
    remove_made();
    throw;
  }
}

std::string Folder::shown(const std::string& name) const {
  return path_.ends_with('/') ? path_ + name : path_ + '/' + name;
}

void Folder::sync() const {
  // The names of folders that were made are in those above, which may not be open to us: on the same file system,
  // though.
  const bool failed = made_.empty() ? fsync(fd_.get()) != 0 : syncfs(fd_.get()) != 0;
  if (failed) throw base::system_error(Kind::kDestination, path_, errno, "fsync of the folder");
}

void Folder::check_path() const {
  struct stat here = {};
  const auto there = folder_id(path_);
  if (there && fstat(fd_.get(), &here) == 0 && *there == std::pair(here.st_dev, here.st_ino)) return;
  throw base::Error(Kind::kDestination, path_, 0, kSwapped);
}

void Folder::remove_made() {
  // Another one that has its name by now is not ours to remove.
  const auto there = folder_id(path_);
  struct stat here = {};
  if (fd_.valid() && there && (fstat(fd_.get(), &here) != 0 || *there != std::pair(here.st_dev, here.st_ino))) return;
  // ENOTEMPTY: somebody else has put something there, or this run did, and then it stays.
  while (!made_.empty() && rmdir(made_.back().c_str()) == 0) made_.pop_back();
}

std::optional<std::pair<dev_t, ino_t>> folder_id(const std::string& path) {
  struct stat status = {};
  if (stat(path.c_str(), &status) != 0 || !S_ISDIR(status.st_mode)) return std::nullopt;
  return std::pair(status.st_dev, status.st_ino);
}

bool is_folder(const std::string& path) { return folder_id(path).has_value(); }

Sign::Sign(const Folder& folder, std::int64_t job, int rank)
    : folder_(folder),
      signs_(fmt::format(".argosy-{:x}.ranks", job)),
      name_(fmt::format("{}/{}", signs_, rank)),
      rank_(rank) {
  if (mkdirat(folder_.fd(), signs_.c_str(), 0700) != 0 && errno != EEXIST) {
    throw base::system_error(Kind::kDestination, folder_.path(), errno, "can't be written");
  }
  file_ = base::Fd(openat(folder_.fd(), name_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (file_.valid() && flock(file_.get(), LOCK_EX | LOCK_NB) == 0) return;
  const int error_number = errno;
  static_cast<void>(unlinkat(folder_.fd(), name_.c_str(), 0));
  static_cast<void>(unlinkat(folder_.fd(), signs_.c_str(), AT_REMOVEDIR));
  throw base::system_error(Kind::kDestination, folder_.path(), error_number, "can't be written");
}

Sign::~Sign() {
  static_cast<void>(unlinkat(folder_.fd(), name_.c_str(), 0));
  // The last one's succeeds.
  static_cast<void>(unlinkat(folder_.fd(), signs_.c_str(), AT_REMOVEDIR));
}

int Sign::lowest() const {
  int lowest = rank_;
  base::Fd fd(openat(folder_.fd(), signs_.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd.valid()) throw base::system_error(Kind::kDestination, folder_.path(), errno, "can't be read");
  const std::unique_ptr<DIR, int (*)(DIR*)> folder(fdopendir(fd.get()), closedir);
  if (!folder) throw base::system_error(Kind::kDestination, folder_.path(), errno, "can't be read");
  static_cast<void>(fd.release());
  while (const dirent* entry = readdir(folder.get())) {
    int other = 0;
    const std::string_view name = entry->d_name;
    const auto parsed = std::from_chars(name.data(), name.data() + name.size(), other);
    if (parsed.ec == std::errc()) lowest = std::min(lowest, other);
  }
  return lowest;
}

}  // namespace argosy::file
