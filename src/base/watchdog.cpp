#include "base/watchdog.h"

#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <utility>

#include "base/error.h"
#include "base/log.h"

namespace argosy::base {

namespace {

constexpr double kLookSeconds = 0.1;

}  // namespace

Watchdog::Watchdog(double seconds, std::string who) : seconds_(seconds), who_(std::move(who)) {
  if (seconds > 0) thread_ = std::thread([this] { watch(); });
}

Watchdog::~Watchdog() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    over_ = true;
  }
  ends_.notify_one();
  thread_.join();
}

void Watchdog::watch() {
  std::unique_lock lock(mutex_);
  std::uint64_t seen = beats_.load(std::memory_order_relaxed);
  // Looks are counted and not seconds: of these many may pass while the process is stopped.
  double silent = 0;
  while (!ends_.wait_for(lock, std::chrono::duration<double>(kLookSeconds), [this] { return over_; })) {
    const std::uint64_t now = beats_.load(std::memory_order_relaxed);
    silent = now == seen ? silent + kLookSeconds : 0;
    seen = now;
    if (silent < seconds_) continue;
    complain(fmt::format("a call into MPI has not come back for {:.0f} s ({})", silent, who_));
    _exit(static_cast<int>(Kind::kSystem));
  }
}

}  // namespace argosy::base
