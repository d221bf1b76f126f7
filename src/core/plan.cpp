#include "core/plan.h"

#include <algorithm>

#include "core/chunk.h"

namespace argosy::core {

void Planner::add(std::uint64_t entry, std::int64_t size, bool open_ended) {
  files_.push_back({entry, size, 0, open_ended});
}

void Planner::end(std::uint64_t entry) {
  std::erase_if(files_, [entry](const File& file) { return file.entry == entry; });
}

std::vector<Extent> Planner::next(bool more_to_come) {
  if (files_.empty()) return {};
  File& first = files_.front();
  if (!is_small(first)) {
    const std::int64_t length = first.open_ended ? chunk_size_ : std::min(chunk_size_, first.size - first.planned);
    const bool last = !first.open_ended && first.planned + length == first.size;
    const Extent extent{first.entry, first.planned, length, false, last, first.open_ended};
    first.planned += length;
    if (last) files_.pop_front();
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
