// Holds what leaves a rank to a bandwidth limit: message by message, without bursts.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>

namespace argosy::engine {

class Pacer {
 public:
  // Bytes a second; 0: no limit.
  explicit Pacer(std::int64_t bwlimit) : bwlimit_(bwlimit) {}

  // Whether `bytes` may be sent now; if so they are counted.
  bool may_send(std::size_t bytes) {
    if (bwlimit_ == 0) return true;
    const auto now = std::chrono::steady_clock::now();
    if (now < allowed_) return false;
    const std::chrono::duration<double> cost(static_cast<double>(bytes) / static_cast<double>(bwlimit_));
    // The millisecond makes up for a loop that looks too late, and is no burst.
    allowed_ = std::max(allowed_, now - std::chrono::milliseconds(1)) +
               std::chrono::duration_cast<std::chrono::steady_clock::duration>(cost);
    return true;
  }
  // What is left is to be over soon.
  void hurry() { bwlimit_ = 0; }

 private:
  std::int64_t bwlimit_;
  std::chrono::steady_clock::time_point allowed_;
};

}  // namespace argosy::engine
