// The channel between rank 0 and the supervisor, as bytes: where it is, how it opens, lines of JSON. Both ends use
// this; doc/architecture.md has the frames.
//
// A connection opens with one line, "argosy1 TOKEN control", "argosy1 TOKEN stdin" or "argosy1 TOKEN stdout". A control
// connection then carries one JSON document a line, each way; the supervisor's first is {"type":"hello"}. A stdin
// connection carries the supervisor's standard input, raw; a stdout connection what goes to its standard output, and
// one byte back when all of it is there.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.h"

namespace argosy::cli {

inline constexpr std::size_t kLongestFrame = 64U << 20;
inline constexpr std::size_t kLongestHello = 128;

using Clock = std::chrono::steady_clock;

// ARGOSY_CHANNEL: "TOKEN,PORT,ADDRESS,ADDRESS...".
struct ChannelPlace {
  std::string token;
  std::uint16_t port = 0;
  std::vector<std::string> addresses;
};
std::string format_place(const ChannelPlace& place);
// Nothing when `text` is no such value.
std::optional<ChannelPlace> parse_place(std::string_view text);

// 128 random bits in hex. Throws base::Error (kSystem) where the kernel has none to give.
std::string random_token();

std::string hello_line(std::string_view token, std::string_view purpose);

// Any bytes as a JSON string holds them: each is the character of its number. And back; what is no such text loses the
// characters that are no bytes.
std::string bytes_as_text(std::string_view bytes);
std::string text_as_bytes(std::string_view text);

// Takes as long for a wrong token as for the right one of the same length.
bool same_token(std::string_view a, std::string_view b);

// Collects what a non-blocking descriptor has to read into lines without their newline.
class LineReader {
 public:
  enum class State {
    kOpen,     // nothing more for now
    kEnd,      // end of file
    kBroken,   // a read error; error_number() says which
    kTooLong,  // a line of more than `longest` bytes
  };
  explicit LineReader(std::size_t longest) : longest_(longest) {}

  // Reads what the descriptor has, at most 1 MiB at a time, and appends whole lines to `lines`. What it read before an
  // end or an error counts.
  State read(int fd, std::vector<std::string>& lines);
  // What came after the last newline.
  const std::string& rest() const { return rest_; }
  int error_number() const { return error_number_; }

 private:
  std::size_t longest_;
  std::string rest_;
  int error_number_ = 0;
};

// Begins a TCP connection to a numeric address; non-blocking, so it need not stand yet (poll for writing tells).
// Invalid, with the reason in `error`, where it can't even begin.
base::Fd start_connect(const std::string& address, std::uint16_t port, std::string& error);

// Milliseconds until `deadline` for poll(2): rounded up, at least 0, at most a minute.
int poll_timeout(Clock::time_point deadline);

}  // namespace argosy::cli
