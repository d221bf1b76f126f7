// Progress on a terminal (a bar, redrawn in place) or in a log (a line every few seconds).
#pragma once

#include <chrono>
#include <deque>
#include <optional>
#include <string>

#include "command/options.h"
#include "command/report.h"

namespace argosy::cli {

// " 42% [======>      ]  450 MiB of 1.00 GiB  1.2 GB/s  0:07 left", at most `width` columns; `rate` in bytes a second,
// 0 where it isn't known yet.
std::string progress_bar(const command::Progress& progress, double rate, int width);

// The same facts as one line of a log: "transfer: 450 MiB of 1.00 GiB (42%), 1.2 GB/s, 0:07 left".
std::string progress_line(const command::Progress& progress, double rate);

// The speed of the last few seconds.
class RateMeter {
 public:
  using Clock = std::chrono::steady_clock;
  void add(Clock::time_point when, std::int64_t bytes);
  // Bytes a second; 0 until there are two readings half a second apart.
  double rate() const;

 private:
  struct Reading {
    Clock::time_point when;
    std::int64_t bytes;
  };
  std::deque<Reading> readings_;
};

// Draws on a descriptor that it doesn't own; nothing while that would block, nothing more once a write has failed.
class ProgressDisplay {
 public:
  using Clock = std::chrono::steady_clock;
  // kAuto is a bar where `fd` is a terminal that can redraw, else plain lines. A bar is drawn only while this process
  // is in its terminal's foreground.
  ProgressDisplay(int fd, command::ProgressStyle style);

  void update(const command::Progress& progress, Clock::time_point now = Clock::now());
  // Takes the bar away, so that other lines can be written; the next update draws it again.
  void erase();

 private:
  int fd_;
  command::ProgressStyle style_;
  RateMeter meter_;
  bool drawn_ = false;
  std::optional<Clock::time_point> last_plain_;
};

}  // namespace argosy::cli
