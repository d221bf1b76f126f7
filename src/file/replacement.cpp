#include "file/replacement.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <random>
#include <utility>

#include "base/error.h"
#include "file/folders.h"
#include "file/metadata.h"
#include "file/temporary.h"

namespace argosy::file {

namespace {

base::Error failure(const std::string& path, int error_number) {
  return base::system_error(base::Kind::kDestination, path, error_number, "can't be written");
}

bool is_there(const std::string& path) {
  struct stat status = {};
  return lstat(path.c_str(), &status) == 0;
}

}  // namespace

Replacement::Replacement(std::string path) : path_(std::move(path)), target_(path_) {
  struct stat status = {};
  const bool exists = stat(path_.c_str(), &status) == 0;
  if (!exists && errno != ENOENT) throw failure(path_, errno);
  if (exists && S_ISREG(status.st_mode)) {
    const std::unique_ptr<char, decltype(&std::free)> target(realpath(path_.c_str(), nullptr), std::free);
    if (!target) throw failure(path_, errno);
    target_ = target.get();
    open_beside();
    return;
  }
  if (!exists && !is_there(path_)) {
    open_beside();
    return;
  }
  // What is no regular file, or a symbolic link to nothing. A pipe without a reader would be waited for without end.
  fd_ = base::Fd(open(path_.c_str(), O_WRONLY | O_CREAT | O_NOCTTY | O_NONBLOCK | O_CLOEXEC, 0666));
  if (!fd_.valid() || fcntl(fd_.get(), F_SETFL, 0) != 0) throw failure(path_, errno);
}

void Replacement::open_beside() {
  const std::size_t slash = target_.rfind('/');
  const std::string folder = slash == std::string::npos ? std::string() : target_.substr(0, slash + 1);
  std::random_device random;
  do {
    temporary_ = folder + download_name(name_of(target_), random());
    fd_ = base::Fd(open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  } while (!fd_.valid() && errno == EEXIST);
  if (!fd_.valid()) {
    const int error_number = errno;
    temporary_.clear();
    throw failure(path_, error_number);
  }
  // Only `clean` asks for this lock; where a file system has none, nothing else depends on it.
  static_cast<void>(flock(fd_.get(), LOCK_EX | LOCK_NB));
}

Replacement::~Replacement() {
  if (!temporary_.empty()) static_cast<void>(unlink(temporary_.c_str()));
}

void Replacement::write(std::string_view text) {
  while (!text.empty() && error_number_ == 0) {
    const ssize_t put = ::write(fd_.get(), text.data(), text.size());
    if (put >= 0) {
      text.remove_prefix(static_cast<std::size_t>(put));
      written_ += put;
    } else if (errno != EINTR) {
      error_number_ = errno;
    }
  }
}

void Replacement::back_to_mark() {
  if (written_ == marked_ || error_number_ != 0) return;
  if (ftruncate(fd_.get(), marked_) != 0 || lseek(fd_.get(), marked_, SEEK_SET) != marked_) error_number_ = errno;
  written_ = marked_;
}

void Replacement::commit() {
  if (error_number_ != 0) throw failure(path_, error_number_);
  if (!temporary_.empty()) {
    struct stat old = {};
    const bool replaces = stat(target_.c_str(), &old) == 0;
    // Only root gives files away; what can't be given is the writer's own.
    if (replaces) static_cast<void>(fchown(fd_.get(), old.st_uid, old.st_gid) == 0);
    const mode_t mode = replaces ? old.st_mode & 0777U : 0666U & ~file_creation_mask();
    if (fchmod(fd_.get(), mode) != 0) throw failure(path_, errno);
  }
  if (const int error_number = fd_.close(); error_number != 0) throw failure(path_, error_number);
  if (temporary_.empty()) return;
  if (std::rename(temporary_.c_str(), target_.c_str()) != 0) throw failure(path_, errno);
  temporary_.clear();
}

}  // namespace argosy::file
