#include "cli/progress.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <string_view>

#include "cli/render.h"
#include "cli/units.h"

namespace argosy::cli {

namespace {

constexpr std::chrono::seconds kPlainPause(5);
constexpr std::chrono::seconds kRateWindow(5);
constexpr int kNarrowestBar = 10;
constexpr int kWidestBar = 40;
constexpr int kDefaultWidth = 80;

bool knows_total(const command::Progress& progress) { return progress.bytes_total >= 0; }

int percent(const command::Progress& progress) {
  if (progress.bytes_total <= 0) return progress.bytes_total == 0 ? 100 : 0;
  const double share = static_cast<double>(progress.bytes) / static_cast<double>(progress.bytes_total);
  return static_cast<int>(std::clamp(share, 0.0, 1.0) * 100);
}

std::string amount(const command::Progress& progress) {
  std::string text = format_size(progress.bytes);
  if (knows_total(progress)) text += fmt::format(" of {}", format_size(progress.bytes_total));
  if (progress.files_total > 1) text += fmt::format(", {} of {} files", progress.files, progress.files_total);
  if (progress.files_total < 0 && progress.files > 1) text += fmt::format(", {} files", progress.files);
  return text;
}

// "0:07 left", or nothing where that can't be told.
std::string left(const command::Progress& progress, double rate) {
  if (!knows_total(progress) || !(rate > 0) || progress.bytes >= progress.bytes_total) return {};
  return format_clock(std::ceil(static_cast<double>(progress.bytes_total - progress.bytes) / rate)) + " left";
}

int terminal_width(int fd) {
  winsize size{};
  if (ioctl(fd, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return kDefaultWidth;
  return size.ws_col;
}

bool can_redraw(int fd) {
  const char* terminal = std::getenv("TERM");
  return isatty(fd) == 1 && terminal != nullptr && std::string_view(terminal) != "dumb";
}

// A terminal that isn't ours to draw on belongs to the shell or to another job; one that is no controlling terminal of
// ours (a pseudo-terminal under a test) is.
bool in_foreground(int fd) {
  const pid_t group = tcgetpgrp(fd);
  return group < 0 || group == getpgrp();
}

}  // namespace

std::string progress_bar(const command::Progress& progress, double rate, int width) {
  std::string facts = amount(progress);
  if (rate > 0) facts += "  " + format_rate(rate);
  if (const std::string time = left(progress, rate); !time.empty()) facts += "  " + time;
  std::string line;
  if (knows_total(progress)) {
    line = fmt::format("{:3}% ", percent(progress));
    const int room =
        width - static_cast<int>(line.size() + facts.size()) - 3;  // the brackets and the space behind them
    if (room >= kNarrowestBar) {
      const int length = std::min(room, kWidestBar);
      const int full = length * percent(progress) / 100;
      std::string bar(static_cast<std::size_t>(full), '=');
      if (full < length) bar += '>';
      line += fmt::format("[{:<{}}] ", bar, length);
    }
  }
  line += facts;
  return line.substr(0, static_cast<std::size_t>(std::max(width, 0)));
}

std::string progress_line(const command::Progress& progress, double rate) {
  std::string line = fmt::format("{}: {}", progress.phase, amount(progress));
  if (knows_total(progress)) line += fmt::format(" ({}%)", percent(progress));
  if (rate > 0) line += ", " + format_rate(rate);
  if (const std::string time = left(progress, rate); !time.empty()) line += ", " + time;
  return line;
}

void RateMeter::add(Clock::time_point when, std::int64_t bytes) {
  if (!readings_.empty() && bytes < readings_.back().bytes) readings_.clear();
  readings_.push_back({when, bytes});
  while (readings_.size() > 2 && when - readings_[1].when >= kRateWindow) readings_.pop_front();
}

double RateMeter::rate() const {
  if (readings_.size() < 2) return 0;
  const std::chrono::duration<double> time = readings_.back().when - readings_.front().when;
  if (time < std::chrono::milliseconds(500)) return 0;
  return static_cast<double>(readings_.back().bytes - readings_.front().bytes) / time.count();
}

ProgressDisplay::ProgressDisplay(int fd, command::ProgressStyle style) : fd_(fd), style_(style) {
  if (style_ != command::ProgressStyle::kAuto) return;
  style_ = can_redraw(fd) ? command::ProgressStyle::kBar : command::ProgressStyle::kPlain;
}

void ProgressDisplay::update(const command::Progress& progress, Clock::time_point now) {
  if (style_ == command::ProgressStyle::kNone) return;
  meter_.add(now, progress.bytes);
  if (!can_write(fd_)) return;
  std::string text;
  if (style_ == command::ProgressStyle::kBar) {
    if (!in_foreground(fd_)) return;
    // One column stays free: a full line would make the terminal wrap, and "\r" would no longer be its beginning.
    text = "\r" + progress_bar(progress, meter_.rate(), terminal_width(fd_) - 1) + "\x1b[K";
    drawn_ = true;
  } else {
    // The first line after a pause, too: a short job says nothing.
    if (!last_plain_) last_plain_ = now;
    if (now - *last_plain_ < kPlainPause) return;
    last_plain_ = now;
    text = fmt::format("argosy: {}\n", progress_line(progress, meter_.rate()));
  }
  if (!write_all(fd_, text)) style_ = command::ProgressStyle::kNone;
}

void ProgressDisplay::erase() {
  if (!drawn_) return;
  drawn_ = false;
  if (!write_all(fd_, "\r\x1b[K")) style_ = command::ProgressStyle::kNone;
}

}  // namespace argosy::cli
