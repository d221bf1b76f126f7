#include "cli/ahead.h"

#include <poll.h>

#include <climits>

#include "cli/render.h"

namespace argosy::cli {

namespace {
constexpr std::size_t kMostWritten = 1 << 20;
}  // namespace

void Ahead::add(std::string_view text) {
  any_ = true;
  text_ += text;
  write();
}

void Ahead::write() {
  bool failed = false;
  while (waits() && !failed && can_write(fd_)) {
    // So much goes into a pipe without waiting, or not at all.
    const std::string_view part = std::string_view(text_).substr(written_, PIPE_BUF);
    failed = !write_all(fd_, part);
    written_ += part.size();
    if (written_ < text_.size() && written_ < kMostWritten) continue;
    text_.erase(0, written_);
    written_ = 0;
  }
  if (!failed) return;
  text_.clear();
  written_ = 0;
}

}  // namespace argosy::cli
