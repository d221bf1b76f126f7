#include "base/activity.h"

#include <atomic>

namespace argosy::base {

namespace {
std::atomic<std::uint64_t> count{0};
}  // namespace

void note_activity() { count.fetch_add(1, std::memory_order_relaxed); }

std::uint64_t activity() { return count.load(std::memory_order_relaxed); }

}  // namespace argosy::base
