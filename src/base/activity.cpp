#include "base/activity.h"

#include <array>
#include <atomic>
#include <cstddef>

namespace argosy::base {

namespace {

// On cache lines of their own: threads that count at once would wait for each other.
struct alignas(64) Count {
  std::atomic<std::uint64_t> value{0};
};
std::array<Count, 16> counts;
std::atomic<std::size_t> threads{0};

}  // namespace

void note_activity() {
  thread_local Count& mine = counts[threads.fetch_add(1, std::memory_order_relaxed) % counts.size()];
  mine.value.fetch_add(1, std::memory_order_relaxed);
}

std::uint64_t activity() {
  std::uint64_t sum = 0;
  for (const Count& count : counts) sum += count.value.load(std::memory_order_relaxed);
  return sum;
}

}  // namespace argosy::base
