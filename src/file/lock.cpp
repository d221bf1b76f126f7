#include "file/lock.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <utility>

#include "base/error.h"

namespace argosy::file {

namespace {

using base::Kind;

std::string myself() {
  std::array<char, 256> host{};
  if (gethostname(host.data(), host.size() - 1) != 0) host = {'?'};
  return fmt::format("host {}, pid {}\n", host.data(), getpid());
}

std::string holder(int fd) {
  std::array<char, 512> text{};
  const ssize_t got = pread(fd, text.data(), text.size(), 0);
  std::string who(text.data(), got > 0 ? static_cast<std::size_t>(got) : 0);
  who = who.substr(0, who.find('\n'));
  return who.empty() ? "unknown" : who;
}

// True while the name still leads to the file that is open: a holder that ends removes it.
bool is_still_there(int folder, const std::string& name, int fd) {
  struct stat by_name = {};
  struct stat by_fd = {};
  return fstatat(folder, name.c_str(), &by_name, AT_SYMLINK_NOFOLLOW) == 0 && fstat(fd, &by_fd) == 0 &&
         by_name.st_ino == by_fd.st_ino && by_name.st_dev == by_fd.st_dev;
}

}  // namespace

Lock::Lock(int folder, std::string name, const std::string& shown) : folder_(folder), name_(std::move(name)) {
  while (true) {
    // Made, or opened: a leftover of another user's in a sticky folder may be opened by root, but not with O_CREAT.
    constexpr int kFlags = O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK;
    base::Fd fd(openat(folder_, name_.c_str(), kFlags | O_CREAT | O_EXCL, 0600));
    if (!fd.valid() && errno == EEXIST) {
      fd = base::Fd(openat(folder_, name_.c_str(), kFlags));
      if (!fd.valid() && errno == ENOENT) continue;
    }
    if (!fd.valid()) throw base::system_error(Kind::kDestination, shown, errno, "can't be locked");
    if (flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
      if (errno == EINTR) continue;
      if (errno == EWOULDBLOCK) {
        throw base::Error(Kind::kDestination, shown, EBUSY, "in use by another run (" + holder(fd.get()) + ")");
      }
      throw base::system_error(Kind::kDestination, shown, errno, "can't be locked");
    }
    if (!is_still_there(folder_, name_, fd.get())) continue;
    // Nobody's file by another name: it is written to.
    struct stat status = {};
    if (fstat(fd.get(), &status) != 0 || !S_ISREG(status.st_mode) || status.st_nlink != 1)
      throw base::Error(Kind::kDestination, shown, EEXIST,
                        fmt::format("can't be locked: {} is no lock of argosy's", name_));
    const std::string me = myself();
    errno = ENOSPC;  // what a short write is about
    if (ftruncate(fd.get(), 0) != 0 || pwrite(fd.get(), me.data(), me.size(), 0) != static_cast<ssize_t>(me.size())) {
      const int error_number = errno;
      static_cast<void>(unlinkat(folder_, name_.c_str(), 0));
      throw base::system_error(Kind::kDestination, shown, error_number, "can't be locked");
    }
    fd_ = std::move(fd);
    return;
  }
}

Lock::~Lock() {
  // Removed while it is held, so that nobody else's is. A file that stays is taken over by the next run.
  static_cast<void>(unlinkat(folder_, name_.c_str(), 0));
}

}  // namespace argosy::file
