#include "engine/workers.h"

#include <utility>

namespace argosy::engine {

Workers::Workers(std::size_t threads) {
  for (std::size_t i = 0; i < threads; ++i) threads_.emplace_back([this] { run(); });
}

Workers::~Workers() {
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
  }
  work_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void Workers::post(std::function<void()> task, std::function<void()> done) {
  ++outstanding_;
  {
    const std::lock_guard lock(mutex_);
    waiting_.push_back({std::move(task), std::move(done)});
  }
  work_.notify_one();
}

std::size_t Workers::drain() {
  std::vector<std::function<void()>> ended;
  if (threads_.empty()) {
    std::deque<Job> jobs;
    jobs.swap(waiting_);
    for (Job& job : jobs) {
      job.task();
      ended.push_back(std::move(job.done));
    }
  } else {
    const std::lock_guard lock(mutex_);
    ended.swap(ended_);
  }
  outstanding_ -= ended.size();
  for (const auto& done : ended) done();
  return ended.size();
}

void Workers::wait(std::chrono::microseconds longest) {
  std::unique_lock lock(mutex_);
  ended_signal_.wait_for(lock, longest, [this] { return !ended_.empty() || woken_; });
  woken_ = false;
}

void Workers::wake() {
  {
    const std::lock_guard lock(mutex_);
    woken_ = true;
  }
  ended_signal_.notify_one();
}

bool Workers::abandon(std::chrono::milliseconds longest) {
  std::unique_lock lock(mutex_);
  waiting_.clear();
  const bool idle = ended_signal_.wait_for(lock, longest, [this] { return running_ == 0; });
  ended_.clear();
  outstanding_ = 0;
  return idle;
}

void Workers::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    work_.wait(lock, [this] { return closing_ || !waiting_.empty(); });
    if (closing_) return;
    Job job = std::move(waiting_.front());
    waiting_.pop_front();
    ++running_;
    lock.unlock();
    job.task();
    job.task = nullptr;  // what it captured goes here, not under the lock
    lock.lock();
    --running_;
    ended_.push_back(std::move(job.done));
    ended_signal_.notify_one();
  }
}

}  // namespace argosy::engine
