#include "base/fd.h"

#include <unistd.h>

#include <cerrno>
#include <utility>

namespace argosy::base {

Fd& Fd::operator=(Fd&& other) noexcept {
  if (this != &other) {
    static_cast<void>(close());
    fd_ = other.release();
  }
  return *this;
}

Fd::~Fd() { static_cast<void>(close()); }

int Fd::release() { return std::exchange(fd_, -1); }

int Fd::close() {
  if (fd_ < 0) return 0;
  // Linux frees the descriptor even when close(2) says EINTR: never close twice.
  return ::close(release()) == 0 || errno == EINTR ? 0 : errno;
}

}  // namespace argosy::base
