// The last resort against a main thread that never comes back from a call into MPI, as after a link went down: nobody
// else on this rank can end the job then, and under somebody else's launcher nobody else at all.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <string>
#include <thread>

namespace argosy::base {

class Watchdog {
 public:
  // Starts a thread. When beat() has not been called for `seconds` the process says so, naming itself `who`, and leaves
  // by _exit with Kind::kSystem's code: MPI_Abort belongs to the thread that hangs. Time in which the whole process is
  // stopped does not count. With 0 seconds nothing is watched.
  Watchdog(double seconds, std::string who);
  ~Watchdog();
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;

  // Any thread; costs an atomic write.
  void beat() { beats_.fetch_add(1, std::memory_order_relaxed); }

 private:
  void watch();

  const double seconds_;
  const std::string who_;
  std::atomic<std::uint64_t> beats_{0};
  std::mutex mutex_;
  std::condition_variable ends_;
  bool over_ = false;
  std::thread thread_;
};

}  // namespace argosy::base
