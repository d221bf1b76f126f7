// A file descriptor with one owner.
#pragma once

namespace argosy::base {

class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(other.release()) {}
  Fd& operator=(Fd&& other) noexcept;
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  // Closes what is still open; an error of that close has nobody to hear it, so writers call close() themselves.
  ~Fd();

  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }
  // Gives the descriptor away.
  int release();
  // Closes; 0 or the errno of close(2) (a file system may report a failed write only here). The Fd is empty afterwards.
  int close();

 private:
  int fd_ = -1;
};

}  // namespace argosy::base
