// How a FetchWorker's thread takes an answer; only for fetch_worker.cpp and fetch_receiver.cpp.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "command/fetch_worker.h"
#include "http/connection.h"

namespace argosy::command {

// A thread with its connection. What the main thread looks at is under the worker's mutex.
struct FetchWorker::Seat {
  std::deque<Task> tasks;
  std::uint64_t running = 0;  // a task's number; 0: none
  std::condition_variable changed;
  std::unique_ptr<http::Connection> connection;  // made and replaced under the mutex

  // Set on one thread and looked at on another, without the mutex: for small files every call counts.
  std::atomic<bool> cut{false};         // the task is to end
  std::atomic<std::uint64_t> entry{0};  // of the request under way
  std::atomic<std::int64_t> first{0};
  std::atomic<std::int64_t> bytes{0};
  std::atomic<std::int64_t> size{-1};  // of the whole object, as its answer tells

  // The thread's own.
  std::string host;
  std::optional<std::size_t> slot;  // that is being filled
  std::uint32_t payload = 0;
  std::vector<core::Record> records;
  std::vector<Word> words;
  std::uint64_t messages = 0;
  std::chrono::steady_clock::time_point flushed;

  std::thread thread;
};

// Takes one answer's body: into slots, or only into its digest.
class FetchWorker::Receiver : public http::Body {
 public:
  Receiver(FetchWorker& worker, Seat& seat, const Task& task, const Item& item)
      : worker_(worker), seat_(seat), task_(task), item_(item) {}
  bool begin(const http::Answer& answer) override;
  bool take(std::span<const std::byte> bytes) override;
  Outcome finish(http::Result& result, double seconds);

 private:
  std::span<std::byte> payload() const;
  // A slot to fill. False where the transfer is to end.
  bool room();
  // The first `keep` of the bytes that lie open in the slot become a record; the others are dropped.
  void close_record(std::size_t keep);
  FetchWorker& worker_;
  Seat& seat_;
  const Task& task_;
  const Item& item_;
  Outcome outcome_;
  std::optional<Refusal> refusal_;
  bool begun_ = false;
  bool in_place_ = false;       // the answer is about what is in place already
  std::int64_t expected_ = -1;  // bytes of the body; -1: not told
  std::int64_t received_ = 0;
  std::size_t open_ = 0;  // bytes in the slot behind its records
  http::Checksum content_digest_;
  std::optional<http::Hasher> hasher_;
};

}  // namespace argosy::command
