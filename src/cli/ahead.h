// What goes to standard output ahead of the report. A reader that is slow, such as a pager, keeps no loop waiting: what
// it does not take yet is held.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace argosy::cli {

class Ahead {
 public:
  explicit Ahead(int fd) : fd_(fd) {}
  // Does not block, as write() does not.
  void add(std::string_view text);
  // Writes what the reader takes now. What can't be written at all is dropped: the report can't be either, which is
  // said.
  void write();
  bool waits() const { return written_ < text_.size(); }
  // There was something.
  bool any() const { return any_; }
  // What has not been written.
  std::string rest() const { return text_.substr(written_); }

 private:
  int fd_;
  bool any_ = false;
  std::string text_;
  std::size_t written_ = 0;  // of text_
};

}  // namespace argosy::cli
