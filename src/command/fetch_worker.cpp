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
#include "command/move.h"
#include "http/url.h"

namespace argosy::command {

namespace {

using Clock = std::chrono::steady_clock;

// Outcomes and small bodies wait for others of their task, but not for long.
constexpr std::chrono::milliseconds kFlushAfter(20);
constexpr double kShortPause = 0.1;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

}  // namespace

std::optional<Refusal> refuse(const Item& item, const http::Answer& answer, bool& whole) {
  using Kind = Outcome::Kind;
  const std::string encoding = answer.all("content-encoding");
  if (!encoding.empty() && encoding != "identity") {
    return Refusal{Kind::kRefused, "the origin encodes the body (" + encoding + "), although it was asked not to"};
  }
  const http::Pin pin = http::pin_of(answer);
  whole = answer.status == 200 || answer.status == 203;
  if (whole) {
    if (item.length > 0 && item.pin.size >= 0) {
      // It may have been asked with a precondition that it does not know, and be another object.
      const std::string differs = http::mismatch(item.pin, pin);
      if (!differs.empty() && pin.size >= 0) return Refusal{Kind::kChanged, differs};
      return Refusal{Kind::kNoRange, "the origin gave ranges first, and then the whole"};
    }
    return std::nullopt;
  }
  if (answer.status != 206) return Refusal{Kind::kRefused, fmt::format("the origin answers {}", answer.status)};
  const auto range = http::parse_content_range(answer.field("content-range").value_or(""));
  if (item.length == 0 || !range || range->first != item.first || range->last > item.first + item.length - 1) {
    return Refusal{Kind::kNoRange, "the origin answers with another range than it was asked for"};
  }
  if (const std::string differs = http::mismatch(item.pin, pin); !differs.empty()) {
    return Refusal{Kind::kChanged, differs};
  }
  return std::nullopt;
}

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

  // The thread's own.
  std::string host;
  std::optional<std::size_t> slot;  // that is being filled
  std::uint32_t payload = 0;
  std::vector<core::Record> records;
  std::vector<Word> words;
  std::uint64_t messages = 0;
  Clock::time_point flushed;

  std::thread thread;
};

// Takes one answer's body: into slots, or only into its digest.
class FetchWorker::Receiver : public http::Body {
 public:
  Receiver(FetchWorker& worker, Seat& seat, const Task& task, const Item& item)
      : worker_(worker), seat_(seat), task_(task), item_(item) {}

  bool begin(const http::Answer& answer) override {
    refusal_ = refuse(item_, answer, outcome_.whole);
    if (refusal_) return false;
    outcome_.pin = http::pin_of(answer);
    outcome_.name = http::proposed_name(answer).value_or("");
    outcome_.checksums = http::digests(answer, "repr-digest");
    if (const auto modified = answer.field("last-modified")) outcome_.modified = http::parse_date(*modified);
    expected_ = -1;
    if (outcome_.whole) {
      expected_ = outcome_.pin.size;
    } else if (const auto range = http::parse_content_range(answer.field("content-range").value_or(""))) {
      expected_ = range->last - range->first + 1;
    }
    auto content = http::digests(answer, "content-digest");
    // What is said of the whole object can be checked here where all of it comes in one piece.
    if (outcome_.whole && content.empty()) content = outcome_.checksums;
    if (const http::Checksum* checksum = http::strongest(content)) {
      content_digest_ = *checksum;
      hasher_.emplace(checksum->algorithm);
    }
    // A body that may not fit what is left of the slot begins a new one, where its leaves lie as in the file.
    const std::int64_t room = worker_.settings_.chunk_size - seat_.payload;
    const bool records_full = seat_.records.size() >= core::kExtentsAChunk;
    if (seat_.slot && (expected_ < 0 || expected_ > room || records_full)) worker_.flush(seat_);
    begun_ = true;
    return true;
  }

  bool take(std::span<const std::byte> bytes) override {
    if (expected_ >= 0 && static_cast<std::int64_t>(bytes.size()) > expected_ - received_) {
      refusal_ = Refusal{Outcome::Kind::kRefused, "the origin sends more than it said it would"};
      return false;
    }
    if (hasher_) hasher_->add(bytes);
    received_ += static_cast<std::int64_t>(bytes.size());
    while (!bytes.empty()) {
      if (!room()) return false;
      const auto left = static_cast<std::size_t>(worker_.settings_.chunk_size) - seat_.payload - open_;
      const auto part = bytes.first(std::min(left, bytes.size()));
      std::copy(part.begin(), part.end(), payload().begin() + static_cast<std::ptrdiff_t>(seat_.payload + open_));
      open_ += part.size();
      bytes = bytes.subspan(part.size());
      if (open_ + seat_.payload == static_cast<std::size_t>(worker_.settings_.chunk_size)) close_record(open_);
    }
    seat_.bytes = received_;
    return true;
  }

  Outcome finish(http::Result& result, double seconds) {
    using Kind = Outcome::Kind;
    outcome_.task = task_.id;
    outcome_.entry = item_.entry;
    outcome_.first = item_.first;
    outcome_.seconds = seconds;
    outcome_.status = result.answer.status;
    outcome_.hops = std::move(result.hops);
    outcome_.message = result.message;
    outcome_.wait = http::wait_asked(result.answer, std::time(nullptr));
    const int status = outcome_.status;
    if (result.end == http::Result::End::kComplete && begun_) {
      outcome_.kind = Kind::kDone;
      if (expected_ >= 0 && received_ < expected_) {
        outcome_.kind = Kind::kBroken;
        outcome_.message = "the origin closes early";
      } else if (hasher_ && hasher_->finish() != content_digest_) {
        refusal_ = Refusal{Kind::kChanged, "its content (by the digest in its answer)"};
      }
    } else if (result.end == http::Result::End::kComplete) {
      outcome_.kind = status == 304 ? Kind::kNotModified : Kind::kStatus;
    } else if (result.end == http::Result::End::kStopped) {
      outcome_.kind = Kind::kCut;
    } else {
      outcome_.kind = result.end == http::Result::End::kTransient ? Kind::kBroken : Kind::kRefused;
    }
    if (refusal_) {
      outcome_.kind = refusal_->kind;
      outcome_.message = refusal_->why;
    }
    const bool usable = outcome_.kind == Kind::kDone || outcome_.kind == Kind::kBroken || outcome_.kind == Kind::kCut;
    const bool complete = outcome_.kind == Kind::kDone;
    // Of a body that is gone on with by another request only whole leaves count: digests are of these.
    const std::size_t leaf = static_cast<std::size_t>(base::kLeafSize);
    const bool at_end = outcome_.whole || item_.first + received_ == outcome_.pin.size;
    close_record(!usable ? 0 : complete && at_end ? open_ : open_ / leaf * leaf);
    if (!usable || !begun_) {
      outcome_.got = 0;
      outcome_.digest = {};
    }
    if (!begun_) outcome_.whole = false;
    // Half a head is no answer.
    if (!begun_ && (outcome_.kind == Kind::kBroken || outcome_.kind == Kind::kCut)) outcome_.status = 0;
    if (worker_.setup_.all_fields) outcome_.fields = std::move(result.answer.fields);
    return std::move(outcome_);
  }

 private:
  std::span<std::byte> payload() const {
    return core::payload_of(worker_.pool_.bytes(*seat_.slot), worker_.settings_.chunk_size);
  }

  // A slot to fill. False where the transfer is to end.
  bool room() {
    if (seat_.slot) return true;
    // Behind its first chunk a body without a known end waits until its turn to be written out.
    const bool waits = task_.waits && outcome_.whole && outcome_.got > 0;
    if (waits && !worker_.wait_for_grant(seat_, item_.entry)) return false;
    seat_.slot = worker_.wait_for_slot(seat_);
    return seat_.slot.has_value();
  }

  // The first `keep` of the bytes that lie open in the slot become a record; the others are dropped.
  void close_record(std::size_t keep) {
    if (!seat_.slot) return;
    if (keep > 0) {
      core::Record record;
      record.entry = item_.entry;
      record.offset = item_.first + outcome_.got;
      record.length = static_cast<std::int64_t>(keep);
      record.digest = base::digest_of(payload().subspan(seat_.payload, keep), record.offset);
      outcome_.digest += record.digest;
      outcome_.got += record.length;
      seat_.records.push_back(record);
      seat_.payload += static_cast<std::uint32_t>(keep);
    }
    open_ = 0;
    if (seat_.payload == static_cast<std::size_t>(worker_.settings_.chunk_size)) worker_.flush(seat_);
  }

  FetchWorker& worker_;
  Seat& seat_;
  const Task& task_;
  const Item& item_;
  Outcome outcome_;
  std::optional<Refusal> refusal_;
  bool begun_ = false;
  std::int64_t expected_ = -1;  // bytes of the body; -1: not told
  std::int64_t received_ = 0;
  std::size_t open_ = 0;  // bytes in the slot behind its records
  http::Checksum content_digest_;
  std::optional<http::Hasher> hasher_;
};

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

void FetchWorker::set_up(const Setup& setup) { setup_ = setup; }

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
    if (seat->running != 0) words.emplace_back(Standing{seat->running, seat->entry, seat->first, seat->bytes});
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
    lock.lock();
    seat.changed.wait_until(lock, then, ends);
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
  seat.connection->allow();
  if (stopping_ || seat.cut) seat.connection->cancel();
  http::Request request;
  request.url = http::parse_url(item.url);
  request.first = item.first;
  request.length = item.length;
  request.if_none_match = item.if_none_match;
  request.if_match = item.pin.etag;
  request.speed = task.speed;
  Receiver receiver(*this, seat, task, item);
  const auto start = Clock::now();
  http::Result result = seat.connection->perform(request, receiver);
  return receiver.finish(result, seconds_since(start));
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
      seat.cut = false;
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
