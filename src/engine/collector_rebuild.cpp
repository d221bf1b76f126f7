// The collector's rebuilding: what a group's lost chunks and rows are made of, and what becomes of them.
#include <algorithm>
#include <array>

#include "base/activity.h"
#include "engine/collector.h"

namespace argosy::engine {

namespace {

constexpr std::size_t kMostNamed = 8;

}  // namespace

bool Collector::rebuild(Group& group) {
  const int data = stripe_.data_in(group.number);
  std::vector<int> survivors;
  int real = 0;
  const auto take = [&](bool needed) {
    for (One& one : group.ones) {
      if (real == data || one.state == State::kLost || one.input >= 0) continue;
      if ((one.wanted && !one.put) != needed) continue;
      one.input = static_cast<int>(survivors.size());
      survivors.push_back(one.cell.index);
      ++real;
    }
  };
  // What is fetched anyway first.
  take(true);
  take(false);
  if (real < data || stripe_.parity() == 0) return false;
  // The chunks that the last group does not have are zeros, and there.
  for (int index = data; index < stripe_.data(); ++index) survivors.push_back(index);
  std::vector<int> lost;
  std::size_t longest = 0;
  for (const std::size_t i : group.lost) {
    const One& one = group.ones[i];
    // Nobody knows where in its share it belongs.
    if (!one.known && settings_.table && manifest_.moved != 0) return false;
    lost.push_back(one.cell.index);
  }
  for (const One& one : group.ones) longest = std::max(longest, static_cast<std::size_t>(one.cell.length));
  group.decoder = core::decoder(stripe_.data(), stripe_.parity(), survivors, lost);
  group.sums.assign(lost.size(), std::vector<std::byte>(longest));
  return group.decoder.has_value();
}

void Collector::give_up(Group& group) {
  for (const std::size_t i : group.lost) {
    const One& one = group.ones[i];
    Missing& missing = missing_[one.row.holder];
    ++missing.count;
    missing.rows += one.known ? 0 : 1;
    if (missing.chunks.size() < kMostNamed) missing.chunks.push_back(core::chunk_name(one.cell));
  }
  group.lost.clear();
  group.to_ask.clear();
  group.finished = true;
}

void Collector::finish_rebuilt(const GroupUse& group) {
  group->finished = true;
  ++group->busy;
  ++tasks_;
  auto right = std::make_shared<std::vector<bool>>();
  auto failure = std::make_shared<std::optional<base::Failure>>();
  io_.post(
      [this, group, right, failure] {
        for (std::size_t i = 0; i < group->lost.size(); ++i) {
          One& one = group->ones[group->lost[i]];
          const auto bytes =
              std::span<const std::byte>(group->sums[i]).first(static_cast<std::size_t>(one.cell.length));
          const base::Digest digest = timed_digest(io_.meter(), bytes, one.cell.offset);
          // What is made of chunks that are right is.
          if (!one.known) one.row.digest = digest;
          right->push_back(digest == one.row.digest);
          if (!right->back() || !one.wanted || one.put) continue;
          try {
            sink_.put(one.cell, one.row, bytes);
          } catch (const base::Error& error) {
            *failure = error.failure();
          }
        }
        base::note_activity();
      },
      [this, group, right, failure] {
        --group->busy;
        --tasks_;
        if (*failure) {
          if (!failure_) failure_ = *failure;
          stopped_ = true;
        }
        std::vector<std::size_t> wrong;
        for (std::size_t i = 0; i < group->lost.size(); ++i) {
          One& one = group->ones[group->lost[i]];
          if (!(*right)[i]) {
            wrong.push_back(group->lost[i]);
            continue;
          }
          one.known = true;
          if (!one.wanted || one.put) continue;
          one.put = true;
          ++counts_.rebuilt;
          ++counts_.chunks;
          counts_.bytes += one.cell.length;
          if (!one.cell.parity) counts_.sum += one.row.digest;
        }
        group->lost = wrong;
        if (!wrong.empty()) give_up(*group);
        group->sums.clear();
      });
}

void Collector::put_rows(Group& group) {
  group.rows_put = true;
  auto rows = std::make_shared<std::vector<std::byte>>();
  const std::int64_t first = stripe_.first_row(group.number);
  for (std::size_t i = 0; i < group.ones.size(); ++i) {
    std::array<std::byte, core::kRowBytes> bytes{};
    // A row that is lost stays so: its zeros have no right check.
    const One& one = group.ones[i];
    if (one.known) core::encode_row(one.row, first + static_cast<std::int64_t>(i), manifest_.key(), bytes);
    rows->insert(rows->end(), bytes.begin(), bytes.end());
  }
  ++tasks_;
  auto failure = std::make_shared<std::optional<base::Failure>>();
  io_.post(
      [this, first, rows, failure] {
        try {
          sink_.put_table(first, *rows);
        } catch (const base::Error& error) {
          *failure = error.failure();
        }
      },
      [this, failure] {
        --tasks_;
        if (*failure && !failure_) failure_ = *failure;
        if (failure_) stopped_ = true;
      });
}

}  // namespace argosy::engine
