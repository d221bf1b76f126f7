#include "core/ranges.h"

#include <algorithm>

namespace argosy::core {

bool Ranges::add(Range range) {
  if (range.begin < 0 || range.begin >= range.end) return false;
  const auto next = std::lower_bound(ranges_.begin(), ranges_.end(), range,
                                     [](const Range& a, const Range& b) { return a.begin < b.begin; });
  if (next != ranges_.end() && next->begin < range.end) return false;
  if (next != ranges_.begin() && std::prev(next)->end > range.begin) return false;
  const bool joins_next = next != ranges_.end() && next->begin == range.end;
  const bool joins_last = next != ranges_.begin() && std::prev(next)->end == range.begin;
  if (joins_last && joins_next) {
    std::prev(next)->end = next->end;
    ranges_.erase(next);
  } else if (joins_last) {
    std::prev(next)->end = range.end;
  } else if (joins_next) {
    next->begin = range.begin;
  } else {
    ranges_.insert(next, range);
  }
  return true;
}

Ranges Ranges::intersect(const Ranges& other) const {
  Ranges both;
  auto a = ranges_.begin();
  auto b = other.ranges_.begin();
  while (a != ranges_.end() && b != other.ranges_.end()) {
    // Empty where they do not meet, and then add() leaves it out.
    both.add({std::max(a->begin, b->begin), std::min(a->end, b->end)});
    if (a->end < b->end) {
      ++a;
    } else {
      ++b;
    }
  }
  return both;
}

std::vector<Range> Ranges::missing(std::int64_t size) const {
  std::vector<Range> gaps;
  std::int64_t at = 0;
  for (const Range& range : ranges_) {
    if (range.begin >= size) break;
    if (range.begin > at) gaps.push_back({at, range.begin});
    at = range.end;
  }
  if (at < size) gaps.push_back({at, size});
  return gaps;
}

bool Ranges::covers(Range range) const {
  return std::any_of(ranges_.begin(), ranges_.end(),
                     [&](const Range& one) { return one.begin <= range.begin && range.end <= one.end; });
}

bool Ranges::meets(Range range) const {
  const auto next = std::lower_bound(ranges_.begin(), ranges_.end(), range,
                                     [](const Range& a, const Range& b) { return a.end <= b.begin; });
  return next != ranges_.end() && next->begin < range.end;
}

std::int64_t Ranges::bytes() const {
  std::int64_t sum = 0;
  for (const Range& range : ranges_) sum += range.end - range.begin;
  return sum;
}

}  // namespace argosy::core
