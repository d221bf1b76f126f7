// Where a file has holes, asked for on the way through it: their digest is known without reading them.
#pragma once

#include <cstdint>

namespace argosy::file {

class Holes {
 public:
  // `fd` is read from left to right, and open for as long as this lives. Its position is nobody's.
  explicit Holes(int fd) : fd_(fd) {}

  // How much of the `length` bytes from `offset` on is a hole: whole leaves, or all of it. 0 where the file begins with
  // data there, is too short, or its file system can't tell. Blocks.
  std::int64_t at(std::int64_t offset, std::int64_t length);

 private:
  int fd_;
  std::int64_t data_until_ = 0;  // nothing needs to be asked before it
};

}  // namespace argosy::file
