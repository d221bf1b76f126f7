#include "engine/collector.h"

#include <algorithm>

#include "base/activity.h"
#include "core/route.h"

namespace argosy::engine {

namespace {

constexpr std::size_t kMostGroups = 16;
// What an I/O thread gets at once.
constexpr std::size_t kTaskBytes = 64 * 1024;
// How often a chunk that is damaged on its way is asked for again.
constexpr int kTries = 3;

}  // namespace

Collector::Collector(core::Transport& transport, Workers& io, Pool& pool, const core::StripeManifest& manifest,
                     const Sight& sight, core::CellSink& sink, Settings settings)
    : io_(io),
      manifest_(manifest),
      stripe_(manifest.stripe()),
      sight_(sight),
      sink_(sink),
      settings_(std::move(settings)),
      client_(transport, pool, settings_.client),
      table_(client_, sight.tables, stripe_.rows(), manifest.key(), settings_.client.payload),
      most_rebuilding_(settings_.client.bundle > 1 ? settings_.client.bundle : 2),
      next_group_(settings_.first_group) {}

bool Collector::step() {
  bool any = open_groups();
  for (const GroupUse& group : groups_) any = ask(group) || any;
  if (client_.flush()) any = true;
  if (take()) any = true;
  for (auto it = groups_.begin(); it != groups_.end();) {
    const GroupUse group = *it;
    if (!group->finished && group->busy == 0 && group->to_ask.empty()) {
      finish(group);
      any = true;
    }
    if (!group->finished || group->busy > 0) {
      ++it;
      continue;
    }
    if (settings_.table && !group->rows_put) put_rows(*group);
    it = groups_.erase(it);
  }
  const bool all = (stopped_ || next_group_ >= settings_.end_group) && groups_.empty();
  if (all && tasks_ == 0 && !ended_ && client_.idle()) {
    ended_ = true;
    client_.end();
    any = true;
  }
  return any;
}

bool Collector::open_groups() {
  const std::size_t most = std::max(kMostGroups, 2 * settings_.client.bundle);
  bool any = false;
  if (groups_.size() >= most) return false;
  auto rebuilding = static_cast<std::size_t>(
      std::count_if(groups_.begin(), groups_.end(), [](const GroupUse& group) { return !group->lost.empty(); }));
  while (!stopped_ && next_group_ < settings_.end_group && groups_.size() < most) {
    if (rebuilding >= most_rebuilding_ || !open(next_group_)) break;
    rebuilding += groups_.back()->lost.empty() ? 0U : 1U;
    ++next_group_;
    any = true;
  }
  return any;
}

bool Collector::open(std::int64_t number) {
  const std::int64_t first = stripe_.first_row(number);
  const int count = stripe_.rows_in(number);
  if (!table_.has(first, count)) return false;
  auto group = std::make_shared<Group>();
  group->number = number;
  for (int i = 0; i < count; ++i) {
    One one;
    one.cell = stripe_.cell(first + i);
    if (const auto row = table_.row(first + i)) {
      one.row = *row;
    } else {
      // As the rule has it: that much is known, unless something was dealt otherwise.
      one.row.holder = stripe_.worker_of(one.cell);
      one.row.position = stripe_.position_of(one.cell);
      one.known = false;
      one.row_wanted = settings_.table && manifest_.moved == 0;
      one.state = State::kLost;
    }
    one.wanted = settings_.wants(one.cell, one.row);
    group->ones.push_back(one);
  }
  table_.drop_before(first);
  groups_.push_back(group);
  const bool complete =
      std::none_of(group->ones.begin(), group->ones.end(), [](const One& one) { return one.row_wanted; });
  if (settings_.table && complete) put_rows(*group);
  plan(group);
  return true;
}

const std::vector<Seen>& Collector::candidates(const One& one) const {
  static const std::vector<Seen> kNobodyHasIt;
  const auto found = sight_.shares.find(one.row.holder);
  return found == sight_.shares.end() ? kNobodyHasIt : found->second;
}

// What is to be asked for: what is wanted, and where some of that is lost, what it can be rebuilt from.
void Collector::plan(const GroupUse& group) {
  group->again = false;
  group->to_ask.clear();
  group->lost.clear();
  for (std::size_t i = 0; i < group->ones.size(); ++i) {
    One& one = group->ones[i];
    one.input = -1;
    if (one.state != State::kLost) one.state = State::kUnasked;
    if (one.candidate >= candidates(one).size()) one.state = State::kLost;
    if (one.state == State::kLost && ((one.wanted && !one.put) || one.row_wanted)) group->lost.push_back(i);
  }
  if (!group->lost.empty() && !rebuild(*group)) {
    std::erase_if(group->lost, [&](std::size_t i) { return !group->ones[i].wanted || group->ones[i].put; });
    if (!group->lost.empty()) return give_up(*group);
    // Rows alone were lost, and stay so.
    for (One& one : group->ones) {
      one.input = -1;
      one.row_wanted = false;
    }
  }
  // With something of the file missing the rest of it is only looked at.
  if (!missing_.empty()) {
    group->finished = true;
    group->lost.clear();
    return;
  }
  for (std::size_t i = 0; i < group->ones.size(); ++i) {
    const One& one = group->ones[i];
    if (one.state != State::kLost && (one.input >= 0 || (one.wanted && !one.put))) group->to_ask.push_back(i);
  }
  std::reverse(group->to_ask.begin(), group->to_ask.end());  // taken from the end
}

bool Collector::ask(const GroupUse& group) {
  bool any = false;
  while (!group->to_ask.empty()) {
    if (stopped_ || group->again || !missing_.empty()) {
      group->to_ask.clear();
      return true;
    }
    const std::size_t index = group->to_ask.back();
    One& one = group->ones[index];
    const Seen& seen = candidates(one)[one.candidate];
    if (!client_.has_room(seen.rank, core::Ask::kRead)) return any;
    group->to_ask.pop_back();
    one.state = State::kAsked;
    ++group->busy;
    core::Wanted wanted;
    wanted.folder = seen.folder;
    wanted.place = core::place_of(one.cell, one.row);
    wanted.chunk_size = stripe_.chunk_size();
    wanted.length = static_cast<std::uint32_t>(one.cell.length);
    wanted.offset = one.cell.offset;
    wanted.digest = one.row.digest;
    client_.ask(seen.rank, core::Ask::kRead, wanted,
                [this, group, index](const StripeClient::Answer& answer) { arrived(group, index, answer); });
    any = true;
  }
  return any;
}

void Collector::arrived(const GroupUse& group, std::size_t index, const StripeClient::Answer& answer) {
  if (answer.error_number != 0) {
    ++counts_.damaged;
    next_candidate(group, index);
    return;
  }
  arrived_bytes_ += answer.bytes.size();
  arrived_.push_back({group, index, answer, false, {}});
  if (arrived_bytes_ >= kTaskBytes) take();
}

// What has come goes to the I/O threads, small chunks many at a time.
bool Collector::take() {
  if (arrived_.empty()) return false;
  arrived_bytes_ = 0;
  ++tasks_;
  const auto all = std::make_shared<std::vector<Arrived>>(std::move(arrived_));
  arrived_.clear();
  io_.post(
      [this, all] {
        for (Arrived& one : *all) examine(one);
        base::note_activity();
      },
      // The slots are given back here, on the main thread: a task goes where it ran.
      [this, all] {
        --tasks_;
        for (const Arrived& one : *all) taken(one.group, one.index, one.right, one.failure);
        all->clear();
      });
  return true;
}

void Collector::examine(Arrived& arrived) {
  Group& group = *arrived.group;
  const One& one = group.ones[arrived.index];
  const std::span<const std::byte> bytes = arrived.answer.bytes;
  if (timed_digest(io_.meter(), bytes, one.cell.offset) != one.row.digest) return;
  arrived.right = true;
  try {
    const Timed timed(io_.meter(), Work::kDisk);
    if (one.wanted && !one.put) sink_.put(one.cell, one.row, bytes);
  } catch (const base::Error& error) {
    arrived.failure = error.failure();
  }
  if (one.input < 0) return;
  const std::lock_guard lock(group.mutex);
  std::vector<std::byte*> sums;
  for (auto& sum : group.sums) sums.push_back(sum.data());
  group.decoder->add(one.input, bytes, sums);
}

void Collector::taken(const GroupUse& group, std::size_t index, bool right,
                      const std::optional<base::Failure>& failure) {
  One& one = group->ones[index];
  if (failure) {
    if (!failure_) failure_ = failure;
    stopped_ = true;
  }
  if (!right) {
    ++counts_.damaged;
    if (++one.damaged < kTries) {
      --group->busy;
      one.state = State::kUnasked;
      group->to_ask.push_back(index);
    } else {
      next_candidate(group, index);
    }
    return;
  }
  --group->busy;
  one.state = State::kHere;
  if (!one.wanted || one.put || failure) return;
  one.put = true;
  ++counts_.chunks;
  counts_.bytes += one.cell.length;
  if (!one.cell.parity) counts_.sum += one.row.digest;
}

void Collector::next_candidate(const GroupUse& group, std::size_t index) {
  One& one = group->ones[index];
  --group->busy;
  one.damaged = 0;
  if (++one.candidate < candidates(one).size()) {
    one.state = State::kUnasked;
    group->to_ask.push_back(index);
    return;
  }
  one.state = State::kLost;
  group->again = true;
}

void Collector::finish(const GroupUse& group) {
  if (stopped_) {
    group->finished = true;
  } else if (group->again) {
    plan(group);
  } else if (group->lost.empty() || !missing_.empty()) {
    group->finished = true;
  } else {
    finish_rebuilt(group);
  }
}

std::pair<int, std::string> Collector::waits_for(int me) const {
  if (done()) return {core::kNobody, {}};
  if (tasks_ > 0) return {me, "its own disk"};
  return {client_.waits_for(), "a chunk"};
}

}  // namespace argosy::engine
