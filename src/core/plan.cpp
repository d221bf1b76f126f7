#include "core/plan.h"

#include <algorithm>

#include "core/chunk.h"

namespace argosy::core {

std::int64_t Planner::add(std::uint64_t entry, std::int64_t size, bool open_ended, const Ranges& held) {
  File file{entry, size, 0, open_ended, 0};
  if (open_ended || is_small(file)) {
    files_.push_back(std::move(file));
    return size;
  }
  std::int64_t bytes = 0;
  for (const Range& range : held.missing(size)) {
    file.wanted.push_back(range);
    bytes += range.end - range.begin;
  }
  // All of it is there: its end is still to be told, behind an extent of nothing.
  if (file.wanted.empty()) file.wanted.push_back({size, size});
  files_.push_back(std::move(file));
  return bytes;
}

void Planner::hole(std::uint64_t entry, std::int64_t until) {
  const auto file = std::find_if(files_.begin(), files_.end(), [entry](const File& one) { return one.entry == entry; });
  if (file != files_.end()) file->hole_until = std::max(file->hole_until, until);
}

void Planner::end(std::uint64_t entry) {
  std::erase_if(files_, [entry](const File& file) { return file.entry == entry; });
}

std::vector<Extent> Planner::next(bool more_to_come) {
  if (files_.empty()) return {};
  File& first = files_.front();
  if (!is_small(first)) {
    if (first.open_ended) {
      const Extent extent{first.entry, first.planned, chunk_size_, false, false, true};
      first.planned += chunk_size_;
      return {extent};
    }
    Range& range = first.wanted.front();
    const std::int64_t hole = std::min(first.hole_until, range.end) - range.begin;
    const std::int64_t most = hole > 0 ? std::min(hole, kLongestHole) : chunk_size_;
    const std::int64_t length = std::min(most, range.end - range.begin);
    Extent extent{first.entry, range.begin, length};
    extent.hole = hole > 0;
    range.begin += length;
    extent.rest = range.end - range.begin;
    if (range.begin == range.end) first.wanted.pop_front();
    extent.last = first.wanted.empty();
    if (extent.last) files_.pop_front();
    return {extent};
  }
  std::vector<Extent> extents;
  std::int64_t filled = 0;
  std::size_t taken = 0;
  while (taken < files_.size() && extents.size() < kExtentsAChunk) {
    const File& file = files_[taken];
    if (!is_small(file) || filled + file.size > chunk_size_) break;
    extents.push_back({file.entry, 0, file.size, true, true, false});
    filled += file.size;
    ++taken;
  }
  if (taken == files_.size() && more_to_come && extents.size() < kExtentsAChunk) return {};
  files_.erase(files_.begin(), files_.begin() + static_cast<std::ptrdiff_t>(taken));
  return extents;
}

}  // namespace argosy::core
