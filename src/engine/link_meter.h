// How busy one card was with handing chunks to one rank, and how fast that went at its fastest. The second tells a slow
// card from the links before it: these wait for it, and are as busy, but a few chunks in a row went past unhindered.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <deque>

namespace argosy::engine {

class LinkMeter {
 public:
  using Time = std::chrono::steady_clock::time_point;

  // A message of `bytes`, under way since `sent`, has been taken. Messages are taken in the order in which they are
  // sent.
  void taken(Time sent, Time now, std::size_t bytes) {
    const Time began = std::max(sent, last_);  // with two under way the second's time begins when the first is through
    last_ = now;
    // The first few only fill the buffers on the way.
    if (++taken_ <= kFill) return;
    row_.push_back({std::chrono::duration<double>(now - began).count(), static_cast<double>(bytes)});
    if (row_.size() > kRow) row_.pop_front();
    double seconds = 0;
    double sum = 0;
    for (const Taken& one : row_) {
      seconds += one.seconds;
      sum += one.bytes;
    }
    if (row_.size() == kRow && seconds > 0) fastest_ = std::max(fastest_, sum / seconds);
  }

  // Adds `seconds` with a message under way.
  void add_busy(double seconds) { busy_ += seconds; }

  double busy() const { return busy_; }
  // Bytes a second; 0 while there were too few messages to tell.
  double fastest() const { return fastest_; }

 private:
  static constexpr std::size_t kFill = 8;
  static constexpr std::size_t kRow = 12;
  struct Taken {
    double seconds = 0;
    double bytes = 0;
  };
  std::deque<Taken> row_;
  std::size_t taken_ = 0;
  Time last_;
  double busy_ = 0;
  double fastest_ = 0;
};

}  // namespace argosy::engine
