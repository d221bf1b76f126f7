// The requests of one rank: a thread for each of its connections, which asks, looks whether the answer is what it must
// be, and fills slots with what comes (core/chunk.h), several small bodies to a slot. The main thread takes out full
// slots and what became of each request.
//
// A thread that finds no free slot waits for one, and TCP holds the origin back. Slots come back as the data are taken
// where they go, which depends on no thread; only for standard output could a body whose turn has not come hold what
// the one before it needs: there a body without a known end waits for a grant behind its first chunk
// (Dealer::deal_in_order).
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "command/fetch_wire.h"
#include "core/chunk.h"
#include "engine/pool.h"

namespace argosy::command {

class FetchWorker {
 public:
  struct Settings {
    std::int64_t chunk_size = 0;
    std::uint64_t origin = 0;  // stands in the head of each chunk: through which member it enters
    bool drop = false;         // bodies are hashed and dropped
  };
  // What the main thread is to do, in this order: put a chunk on its way, tell rank 0.
  struct Product {
    std::size_t slot = SIZE_MAX;  // SIZE_MAX: none
    std::size_t bytes = 0;        // of the message in it
    std::vector<Word> words;
  };
  // `memory` is divided into slots and outlives the worker; `wake` is called on other threads when there is a product.
  FetchWorker(std::span<std::byte> memory, const Settings& settings, std::function<void()> wake);
  // Cancels what is under way, and waits for the threads.
  ~FetchWorker();
  FetchWorker(const FetchWorker&) = delete;
  FetchWorker& operator=(const FetchWorker&) = delete;

  // All on the main thread; none blocks.
  void set_up(const Setup& setup);
  void add(Task task);
  void cut(std::uint64_t task);
  void pause(const Pause& pause);
  void set_rate(std::int64_t rate);  // bytes a second of all its connections together
  void grant(std::uint64_t entry);
  void stop();
  std::vector<Product> take();
  // A slot whose bytes are where they belong.
  void release(std::size_t slot);
  std::span<std::byte> bytes(std::size_t slot) const { return pool_.bytes(slot); }
  // How far the requests under way are.
  std::vector<Word> standings();
  std::size_t slots() const { return pool_.slots(); }
  // No task is here.
  bool idle();

 private:
  struct Seat;
  class Receiver;
  void run(Seat& seat);
  void work_on(Seat& seat, const Task& task);
  Outcome ask(Seat& seat, const Task& task, const Item& item);
  void flush(Seat& seat);
  bool wait_until_allowed(Seat& seat, const std::string& host);
  std::optional<std::size_t> wait_for_slot(Seat& seat);
  bool wait_for_rate(Seat& seat, std::size_t bytes);
  bool wait_for_grant(Seat& seat, std::uint64_t entry);
  void deliver(Product product);

  const Settings settings_;
  const std::function<void()> wake_;
  std::mutex mutex_;
  engine::Pool pool_;
  Setup setup_;
  std::map<int, std::unique_ptr<Seat>> seats_;
  std::vector<Product> products_;
  std::map<std::string, std::chrono::steady_clock::time_point> paused_;
  std::set<std::uint64_t> granted_;
  std::set<std::uint64_t> cuts_;  // tasks that have not begun
  std::atomic<std::int64_t> rate_{0};
  std::chrono::steady_clock::time_point next_byte_;  // when more may be taken
  std::vector<Seat*> waiting_for_slots_;
  std::atomic<bool> pauses_{false};    // some host has been paused
  std::atomic<bool> stopping_{false};  // all that is under way or comes is cut
  bool closing_ = false;               // the threads end
};

// What is wrong with an answer to `item`, or nothing; `whole` says whether it is the whole object. Pure.
struct Refusal {
  Outcome::Kind kind = Outcome::Kind::kRefused;
  std::string why;
};
std::optional<Refusal> refuse(const Item& item, const http::Answer& answer, bool& whole);

}  // namespace argosy::command
