// A count that grows whenever a byte moves or a long step of work goes on, on any thread. Whoever watches for a stall
// compares two readings: it is how a rank that re-reads 100 GB differs from one that hangs.
#pragma once

#include <cstdint>

namespace argosy::base {

void note_activity();
std::uint64_t activity();

}  // namespace argosy::base
