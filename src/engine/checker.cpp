#include "engine/checker.h"

#include <algorithm>
#include <cerrno>

#include "core/route.h"

namespace argosy::engine {

namespace {

constexpr std::size_t kMostGroups = 64;

}  // namespace

Checker::Checker(core::Transport& transport, Pool& pool, const core::StripeManifest& manifest, const Sight& sight,
                 StripeClient::Settings settings)
    : stripe_(manifest.stripe()),
      sight_(sight),
      settings_(settings),
      client_(transport, pool, settings),
      table_(client_, sight.tables, stripe_.rows(), manifest.key(), settings.payload),
      losses_(manifest.losses) {}

bool Checker::step() {
  bool any = open_groups();
  for (const GroupUse& group : groups_) any = ask(group) || any;
  any = client_.flush() || any;
  for (auto it = groups_.begin(); it != groups_.end();) {
    const bool finished = (*it)->busy == 0 && (*it)->to_ask.empty();
    if (finished) finish(**it);
    it = finished ? groups_.erase(it) : std::next(it);
  }
  const bool all = (stopped_ || next_group_ >= stripe_.groups()) && groups_.empty();
  if (all && !ended_ && client_.idle()) {
    ended_ = true;
    client_.end();
    any = true;
  }
  return any;
}

bool Checker::open_groups() {
  const std::size_t most = std::max(kMostGroups, 2 * settings_.bundle);
  bool any = false;
  while (!stopped_ && next_group_ < stripe_.groups() && groups_.size() < most) {
    const std::int64_t first = stripe_.first_row(next_group_);
    const int count = stripe_.rows_in(next_group_);
    if (!table_.has(first, count)) break;
    auto group = std::make_shared<Group>();
    group->data = stripe_.data_in(next_group_);
    for (int i = 0; i < count; ++i) {
      One one;
      one.cell = stripe_.cell(first + i);
      one.row.holder = stripe_.worker_of(one.cell);
      const auto row = table_.row(first + i);
      if (row) one.row = *row;
      rows_lost_ += row ? 0 : 1;
      group->ones.push_back(one);
      if (row && sight_.shares.contains(row->holder)) group->to_ask.push_back(static_cast<std::size_t>(i));
    }
    table_.drop_before(first);
    groups_.push_back(std::move(group));
    ++next_group_;
    any = true;
  }
  return any;
}

bool Checker::ask(const GroupUse& group) {
  bool any = false;
  while (!group->to_ask.empty()) {
    if (stopped_) {
      group->to_ask.clear();
      return true;
    }
    const std::size_t index = group->to_ask.back();
    const One& one = group->ones[index];
    const Seen& seen = sight_.shares.at(one.row.holder)[one.candidate];
    if (!client_.has_room(seen.rank, core::Ask::kCheck)) return any;
    group->to_ask.pop_back();
    ++group->busy;
    core::Wanted wanted;
    wanted.folder = seen.folder;
    wanted.place = core::place_of(one.cell, one.row);
    wanted.chunk_size = stripe_.chunk_size();
    wanted.length = static_cast<std::uint32_t>(one.cell.length);
    wanted.offset = one.cell.offset;
    wanted.digest = one.row.digest;
    client_.ask(seen.rank, core::Ask::kCheck, wanted, [this, group, index](const StripeClient::Answer& answer) {
      answered(group, index, answer.error_number);
    });
    any = true;
  }
  return any;
}

void Checker::answered(const GroupUse& group, std::size_t index, int error_number) {
  --group->busy;
  One& one = group->ones[index];
  const std::vector<Seen>& candidates = sight_.shares.at(one.row.holder);
  if (error_number == 0) {
    one.right = true;
    shares_[one.row.holder].rank = candidates[one.candidate].rank;
    bytes_ += one.cell.length;
    return;
  }
  one.seen = one.seen || error_number != ENOENT;
  if (++one.candidate < candidates.size()) group->to_ask.push_back(index);
}

void Checker::finish(const Group& group) {
  if (stopped_) return;
  std::vector<std::uint32_t> holders;
  for (const One& one : group.ones) {
    ShareState& share = shares_[one.row.holder];
    ++share.chunks;
    share.right += one.right ? 1 : 0;
    share.damaged += !one.right && one.seen ? 1 : 0;
    share.missing += !one.right && !one.seen ? 1 : 0;
    if (one.right) holders.push_back(one.row.holder);
  }
  losses_ = std::min(losses_, core::losses_stood(holders, group.data));
}

std::pair<int, std::string> Checker::waits_for() const {
  if (done()) return {core::kNobody, {}};
  return {client_.waits_for(), "a chunk to be checked"};
}

}  // namespace argosy::engine
