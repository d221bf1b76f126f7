// A text file that is written beside its target and takes its place when it is whole. A symbolic link is followed; what
// is no regular file, such as a pipe or a device, is written into.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/fd.h"

namespace argosy::file {

class Replacement {
 public:
  // Blocks, as everything here does; a pipe must have a reader. Throws base::Error (kDestination).
  explicit Replacement(std::string path);
  // Without commit() takes away what was written beside the target.
  ~Replacement();
  Replacement(const Replacement&) = delete;
  Replacement& operator=(const Replacement&) = delete;

  // An error is told by commit().
  void write(std::string_view text);
  // What is written from mark() on is taken back by back_to_mark(). An error is told by commit(): what has gone into a
  // pipe stays there.
  void mark() { marked_ = written_; }
  void back_to_mark();
  // Puts the whole file in place, with mode and owner of the one that it replaces. Throws base::Error (kDestination).
  void commit();

 private:
  void open_beside();

  std::string path_;       // as given
  std::string target_;     // where it leads to
  std::string temporary_;  // empty: written into the target itself
  base::Fd fd_;
  std::int64_t written_ = 0;
  std::int64_t marked_ = 0;
  int error_number_ = 0;
};

}  // namespace argosy::file
