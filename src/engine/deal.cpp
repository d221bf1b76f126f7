#include "engine/deal.h"

#include <algorithm>
#include <span>
#include <utility>

#include "base/activity.h"
#include "base/bytes.h"
#include "base/error.h"
#include "core/route.h"

namespace argosy::engine {

namespace {

// One task to work on and one that waits keep a rank busy.
constexpr std::size_t kTasksARank = 3;
// How far the results may run ahead of the one that is still missing, for each rank.
constexpr std::size_t kAheadARank = 16;
constexpr std::uint64_t kNoMore = UINT64_MAX;
constexpr std::size_t kHeader = 8;

std::shared_ptr<Bytes> framed(std::uint64_t number, const Bytes& content) {
  auto message = std::make_shared<Bytes>();
  message->reserve(kHeader + content.size());
  base::Writer(*message).put(number);
  message->insert(message->end(), content.begin(), content.end());
  return message;
}

}  // namespace

Deal::Deal(core::Transport& transport, Workers& workers, Work work)
    : transport_(transport), workers_(workers), work_(std::move(work)), root_(transport.rank() == 0) {
  if (!root_) {
    task_buffer_.resize(kHeader + kDealBytes);
    receive_task();
    return;
  }
  for (int rank = 1; rank < transport.size(); ++rank) {
    hands_.push_back(std::make_unique<Hand>());
    hands_.back()->rank = rank;
    hands_.back()->buffer.resize(kHeader + kDealBytes);
    receive_result(*hands_.back());
  }
}

Deal::~Deal() {
  if (posted_) transport_.cancel(*posted_);
  for (const auto& hand : hands_) {
    if (hand->posted) transport_.cancel(*hand->posted);
  }
}

bool Deal::step() {
  if (!root_) return false;
  const bool found = find();
  return give() || found;
}

bool Deal::find() {
  const std::size_t ranks = hands_.size() + 1;
  if (finding_ || found_all_ || found_.size() >= 2 * ranks || next_number_ - next_result_ >= kAheadARank * ranks)
    return false;
  if (stopped_) {
    found_all_ = true;
    return true;
  }
  finding_ = true;
  auto task = std::make_shared<std::optional<Bytes>>();
  workers_.post([this, task] { *task = work_.next(); },
                [this, task] {
                  finding_ = false;
                  base::note_activity();
                  if (!*task) {
                    found_all_ = true;
                  } else {
                    found_.emplace(next_number_++, std::move(**task));
                  }
                });
  return true;
}

bool Deal::give() {
  bool any = false;
  while (!found_.empty()) {
    // Whoever has least to do; this rank, which also finds the tasks, last.
    Hand* least = nullptr;
    for (const auto& hand : hands_) {
      if (hand->tasks < kTasksARank && (least == nullptr || hand->tasks < least->tasks)) least = hand.get();
    }
    const bool here = working_ < kTasksARank && (least == nullptr || working_ < least->tasks);
    if (least == nullptr && !here) break;
    auto task = found_.extract(found_.begin());
    any = true;
    if (here) {
      work_here(task.key(), std::move(task.mapped()));
      continue;
    }
    ++least->tasks;
    ++sending_;
    const auto message = framed(task.key(), task.mapped());
    transport_.send(least->rank, core::Tag::kTask, *message, [this, message] { --sending_; });
  }
  if (!found_all_ || finding_ || !found_.empty() || last_told_) return any;
  last_told_ = true;
  for (const auto& hand : hands_) {
    ++sending_;
    const auto message = framed(kNoMore, {});
    transport_.send(hand->rank, core::Tag::kTask, *message, [this, message] { --sending_; });
  }
  return true;
}

void Deal::work_here(std::uint64_t number, Bytes task) {
  ++working_;
  auto shared = std::make_shared<Bytes>(std::move(task));
  workers_.post([this, shared] { *shared = work_.work(*shared); },
                [this, number, shared] {
                  --working_;
                  base::note_activity();
                  finished(number, std::move(*shared));
                });
}

void Deal::finished(std::uint64_t number, Bytes result) {
  if (!root_) {
    ++sending_;
    const auto message = framed(number, result);
    transport_.send(0, core::Tag::kDone, *message, [this, message] { --sending_; });
    return;
  }
  results_.emplace(number, std::move(result));
  for (auto next = results_.find(next_result_); next != results_.end(); next = results_.find(next_result_)) {
    work_.result(next->second);
    results_.erase(next);
    ++next_result_;
  }
}

void Deal::receive_task() {
  posted_ = transport_.receive(0, core::Tag::kTask, task_buffer_, [this](int, std::size_t bytes) {
    posted_.reset();
    base::Reader reader{std::span<const std::byte>(task_buffer_.data(), bytes)};
    const auto number = reader.get<std::uint64_t>();
    if (!reader.ok()) throw base::Error(base::Kind::kIntegrity, {}, 0, "a task was damaged on its way");
    if (number == kNoMore) {
      last_told_ = true;
      return;
    }
    work_here(number, Bytes(task_buffer_.begin() + kHeader, task_buffer_.begin() + static_cast<std::ptrdiff_t>(bytes)));
    receive_task();
  });
}

void Deal::receive_result(Hand& hand) {
  hand.posted = transport_.receive(hand.rank, core::Tag::kDone, hand.buffer, [this, &hand](int, std::size_t bytes) {
    hand.posted.reset();
    base::Reader reader{std::span<const std::byte>(hand.buffer.data(), bytes)};
    const auto number = reader.get<std::uint64_t>();
    if (!reader.ok() || hand.tasks == 0 || number >= next_number_ || number < next_result_ || results_.contains(number))
      throw base::Error(base::Kind::kIntegrity, {}, 0, "a result is of no task that was given out");
    --hand.tasks;
    base::note_activity();
    finished(number, Bytes(hand.buffer.begin() + kHeader, hand.buffer.begin() + static_cast<std::ptrdiff_t>(bytes)));
    receive_result(hand);
  });
}

bool Deal::done() const {
  if (!last_told_ || working_ > 0 || sending_ > 0) return false;
  return !root_ || next_result_ == next_number_;
}

int Deal::waits_for() const {
  if (working_ > 0 || finding_) return transport_.rank();
  if (!root_) return last_told_ ? core::kNobody : 0;
  for (const auto& hand : hands_) {
    if (hand->tasks > 0) return hand->rank;
  }
  return core::kNobody;
}

}  // namespace argosy::engine
