// The I/O threads: they make every file-system call and hash, so that the main thread, which owns all communication,
// never blocks. A task runs on a thread; its `done` runs on the main thread, out of drain().
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "engine/meter.h"

namespace argosy::engine {

class Workers {
 public:
  // With 0 threads, tasks run inside drain(): single-threaded tests.
  explicit Workers(std::size_t threads);
  // Waits for the tasks that run; those that have not started are dropped, as are all `done`s.
  ~Workers();
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;

  // Never blocks. `task` must not throw. First in, first out.
  void post(std::function<void()> task, std::function<void()> done);
  // Main thread: calls the `done` of every task that has ended; how many those were.
  std::size_t drain();
  // Main thread: sleeps until a task ends, at most `longest`.
  void wait(std::chrono::microseconds longest);
  // Any thread: ends a wait() at once, or the next one, because something else has happened that the main thread looks
  // after.
  void wake();
  // Main thread: drops what has not started and all `done`s, and waits for the tasks that run, at most `longest`; false
  // when one still runs then (a file system hangs).
  bool abandon(std::chrono::milliseconds longest);
  // What the tasks say they spent their time on.
  Meter& meter() { return meter_; }
  // How many tasks have been posted and not drained.
  std::size_t outstanding() const { return outstanding_; }

 private:
  struct Job {
    std::function<void()> task;
    std::function<void()> done;
  };
  void run();

  Meter meter_;
  std::mutex mutex_;
  std::condition_variable work_;
  std::condition_variable ended_signal_;
  std::deque<Job> waiting_;
  std::vector<std::function<void()>> ended_;
  std::size_t running_ = 0;
  bool closing_ = false;
  bool woken_ = false;
  std::size_t outstanding_ = 0;  // main thread only
  std::vector<std::thread> threads_;
};

}  // namespace argosy::engine
