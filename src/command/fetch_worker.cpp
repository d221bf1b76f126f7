#include "command/fetch_worker.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <ctime>
#include <optional>
#include <utility>

#include "base/activity.h"
#include "base/digest.h"
#include "base/seconds.h"
#include "command/fetch_receiver.h"
#include "command/move.h"
#include "http/url.h"

namespace argosy::command {

namespace {

using Clock = std::chrono::steady_clock;

// Outcomes and small bodies wait for others of their task, but not for long.
constexpr std::chrono::milliseconds kFlushAfter(20);
constexpr std::chrono::milliseconds kLook(500);
constexpr double kShortPause = 0.1;
constexpr double kRatePart = 0.05;                   // seconds
constexpr std::chrono::milliseconds kRateBurst(50);  // what may be made up for of a late wake-up

}  // namespace

FetchWorker::FetchWorker(std::span<std::byte> memory, const Settings& settings, std::function<void()> wake)
    : settings_(settings), wake_(std::move(wake)), pool_(memory, slot_bytes(settings.chunk_size)) {}

FetchWorker::~FetchWorker() {
  stop();
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
    for (auto& [number, seat] : seats_) seat->changed.notify_one();
  }
  for (auto& [number, seat] : seats_) seat->thread.join();
}

void FetchWorker::set_up(const Setup& setup) {
  setup_ = setup;
  rate_ = setup.rate;
}

void FetchWorker::set_rate(std::int64_t rate) { rate_ = rate; }

void FetchWorker::add(Task task) {
  const std::lock_guard lock(mutex_);
  auto& seat = seats_[task.seat];
  if (!seat) {
    seat = std::make_unique<Seat>();
    seat->thread = std::thread([this, &one = *seat] { run(one); });
  }
  seat->tasks.push_back(std::move(task));
  seat->changed.notify_one();
}

void FetchWorker::cut(std::uint64_t task) {
  const std::lock_guard lock(mutex_);
  for (auto& [number, seat] : seats_) {
    const bool to_come =
        std::any_of(seat->tasks.begin(), seat->tasks.end(), [task](const Task& one) { return one.id == task; });
    if (to_come) cuts_.insert(task);
    if (seat->running != task) continue;
    seat->cut = true;
    if (seat->connection) seat->connection->cancel();
    seat->changed.notify_one();
  }
}

void FetchWorker::pause(const Pause& pause) {
  const std::lock_guard lock(mutex_);
  Clock::time_point& until = paused_[pause.host];
  until = std::max(until, Clock::now() + std::chrono::duration_cast<Clock::duration>(
                                             std::chrono::duration<double>(std::clamp(pause.seconds, 0.0, 3600.0))));
  pauses_ = true;
}

void FetchWorker::grant(std::uint64_t entry) {
  const std::lock_guard lock(mutex_);
  granted_.insert(entry);
  for (auto& [number, seat] : seats_) seat->changed.notify_one();
}

void FetchWorker::stop() {
  const std::lock_guard lock(mutex_);
  stopping_ = true;
  for (auto& [number, seat] : seats_) {
    if (seat->connection) seat->connection->cancel();
    seat->changed.notify_one();
  }
}

bool FetchWorker::idle() {
  const std::lock_guard lock(mutex_);
  return products_.empty() && std::all_of(seats_.begin(), seats_.end(), [](const auto& seat) {
           return seat.second->running == 0 && seat.second->tasks.empty();
         });
}

std::vector<FetchWorker::Product> FetchWorker::take() {
  const std::lock_guard lock(mutex_);
  return std::exchange(products_, {});
}

void FetchWorker::release(std::size_t slot) {
  const std::lock_guard lock(mutex_);
  pool_.release(slot);
  if (waiting_for_slots_.empty()) return;
  waiting_for_slots_.front()->changed.notify_one();
}

std::vector<Word> FetchWorker::standings() {
  const std::lock_guard lock(mutex_);
  std::vector<Word> words;
  for (const auto& [number, seat] : seats_) {
    if (seat->running == 0) continue;
    words.emplace_back(Standing{seat->running, seat->entry, seat->first, seat->bytes, seat->size});
  }
  return words;
}

void FetchWorker::deliver(Product product) {
  {
    const std::lock_guard lock(mutex_);
    products_.push_back(std::move(product));
  }
  wake_();
}

// Hands over what the seat has gathered: the chunk first, what became of the requests behind it.
void FetchWorker::flush(Seat& seat) {
  Product product;
  if (seat.slot && seat.payload > 0 && !settings_.drop) {
    core::Head head;
    head.index = settings_.origin;
    head.payload = seat.payload;
    product.slot = *seat.slot;
    product.bytes = core::seal_chunk(pool_.bytes(*seat.slot), head, seat.records);
    ++seat.messages;
    seat.slot.reset();
  } else if (seat.slot) {
    release(*seat.slot);
    seat.slot.reset();
  }
  seat.payload = 0;
  seat.records.clear();
  product.words = std::exchange(seat.words, {});
  seat.flushed = Clock::now();
  if (product.slot != SIZE_MAX || !product.words.empty()) deliver(std::move(product));
}

std::optional<std::size_t> FetchWorker::wait_for_slot(Seat& seat) {
  std::unique_lock lock(mutex_);
  std::optional<std::size_t> slot;
  waiting_for_slots_.push_back(&seat);
  seat.changed.wait(lock, [&] { return stopping_ || seat.cut || (slot = pool_.acquire()).has_value(); });
  std::erase(waiting_for_slots_, &seat);
  // One that was given back while this one woke is for the next.
  if (!waiting_for_slots_.empty() && pool_.free() > 0) waiting_for_slots_.front()->changed.notify_one();
  return slot;
}

// Whoever takes bytes takes the time that they need at the rank's rate, in small parts: the rate may change meanwhile.
// TCP holds the origin back.
bool FetchWorker::wait_for_rate(Seat& seat, std::size_t bytes) {
  if (rate_ == 0) return true;
  std::unique_lock lock(mutex_);
  const auto ends = [&] { return stopping_ || seat.cut; };
  while (bytes > 0 && !ends()) {
    const double rate = static_cast<double>(rate_);
    const std::size_t part = std::min(bytes, static_cast<std::size_t>(std::max(1.0, rate * kRatePart)));
    next_byte_ =
        std::max(next_byte_, Clock::now() - kRateBurst) +
        std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(static_cast<double>(part) / rate));
    const Clock::time_point then = next_byte_;
    base::note_activity();
    seat.changed.wait_until(lock, then, ends);
    bytes -= part;
  }
  return !ends();
}

bool FetchWorker::wait_for_grant(Seat& seat, std::uint64_t entry) {
  flush(seat);
  std::unique_lock lock(mutex_);
  seat.changed.wait(lock, [&] { return stopping_ || seat.cut || granted_.contains(entry); });
  return !stopping_ && !seat.cut;
}

// False where the task is to end.
bool FetchWorker::wait_until_allowed(Seat& seat, const std::string& host) {
  const auto ends = [&] { return stopping_ || seat.cut; };
  if (!pauses_) return !ends();
  std::unique_lock lock(mutex_);
  while (!ends()) {
    const auto until = paused_.find(host);
    if (until == paused_.end() || until->second <= Clock::now()) return true;
    const Clock::time_point then = until->second;
    lock.unlock();
    flush(seat);
    // To wait because an origin asked for it is no stall.
    base::note_activity();
    lock.lock();
    seat.changed.wait_until(lock, std::min(then, Clock::now() + kLook), ends);
  }
  return false;
}

Outcome FetchWorker::ask(Seat& seat, const Task& task, const Item& item) {
  // A connection to another host is not kept beside this one: the origin's limit is on open connections.
  if (!seat.connection || seat.host != task.host) {
    auto fresh = std::make_unique<http::Connection>(setup_.http);
    const std::lock_guard lock(mutex_);
    seat.connection = std::move(fresh);
    seat.host = task.host;
  }
  seat.entry = item.entry;
  seat.first = item.first;
  seat.bytes = 0;
  seat.size = -1;
  seat.connection->allow();
  if (stopping_ || seat.cut) seat.connection->cancel();
  http::Request request;
  request.url = http::parse_url(item.url);
  if (!item.location.empty()) request.place = http::parse_url(item.location);
  request.redirects = item.redirects;
  request.first = item.first;
  request.length = item.length;
  request.if_none_match = item.if_none_match;
  request.if_match = item.pin.etag;
  request.if_range = item.if_range;
  Receiver receiver(*this, seat, task, item);
  const auto start = Clock::now();
  http::Result result = seat.connection->perform(request, receiver);
  return receiver.finish(result, base::seconds_since(start));
}

void FetchWorker::work_on(Seat& seat, const Task& task) {
  for (const Item& item : task.items) {
    Outcome outcome;
    outcome.kind = Outcome::Kind::kCut;
    outcome.task = task.id;
    outcome.entry = item.entry;
    outcome.first = item.first;
    if (wait_until_allowed(seat, task.host)) {
      try {
        outcome = ask(seat, task, item);
      } catch (const base::Error& error) {
        // A library has refused: another try will not better it.
        outcome.kind = Outcome::Kind::kRefused;
        outcome.message = error.failure().message;
      }
    }
    // Until rank 0 has said for how long.
    const bool busy = outcome.kind == Outcome::Kind::kStatus && (outcome.status == 429 || outcome.status == 503);
    if (busy) pause({task.host, outcome.wait.value_or(kShortPause)});
    seat.words.emplace_back(std::move(outcome));
    if (busy || task.waits || Clock::now() - seat.flushed > kFlushAfter) flush(seat);
  }
}

void FetchWorker::run(Seat& seat) {
  while (true) {
    Task task;
    {
      std::unique_lock lock(mutex_);
      seat.changed.wait(lock, [&] { return closing_ || !seat.tasks.empty(); });
      if (seat.tasks.empty()) return;
      task = std::move(seat.tasks.front());
      seat.tasks.pop_front();
      seat.running = task.id;
      seat.cut = cuts_.erase(task.id) > 0;
    }
    seat.messages = 0;
    seat.flushed = Clock::now();
    work_on(seat, task);
    flush(seat);
    Product product;
    product.words.emplace_back(TaskEnd{task.id, seat.messages});
    {
      const std::lock_guard lock(mutex_);
      seat.running = 0;
    }
    deliver(std::move(product));
  }
}

}  // namespace argosy::command
