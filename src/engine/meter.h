// Where the I/O threads' time goes on one rank, for the report. Any thread adds; the main thread reads.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>

#include "base/digest.h"

namespace argosy::engine {

enum class Work { kSource, kHash, kDisk };

class Meter {
 public:
  void add(Work work, std::chrono::nanoseconds time) { total(work).fetch_add(time.count(), std::memory_order_relaxed); }
  double seconds(Work work) { return static_cast<double>(total(work).load(std::memory_order_relaxed)) * 1e-9; }

 private:
  std::atomic<std::int64_t>& total(Work work) {
    return work == Work::kSource ? source_ : work == Work::kHash ? hash_ : disk_;
  }
  std::atomic<std::int64_t> source_{0};
  std::atomic<std::int64_t> hash_{0};
  std::atomic<std::int64_t> disk_{0};
};

// Adds the time of its life.
class Timed {
 public:
  Timed(Meter& meter, Work work) : meter_(meter), work_(work), start_(std::chrono::steady_clock::now()) {}
  ~Timed() { meter_.add(work_, std::chrono::steady_clock::now() - start_); }
  Timed(const Timed&) = delete;
  Timed& operator=(const Timed&) = delete;

 private:
  Meter& meter_;
  Work work_;
  std::chrono::steady_clock::time_point start_;
};

// base::digest_of, timed.
inline base::Digest timed_digest(Meter& meter, std::span<const std::byte> data, std::int64_t offset) {
  const Timed timed(meter, Work::kHash);
  return base::digest_of(data, offset);
}

}  // namespace argosy::engine
