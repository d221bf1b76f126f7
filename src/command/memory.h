// This process's memory, as reports have it.
#pragma once

#include <cstdint>

namespace argosy::command {

// The highest resident size of this process so far, in bytes.
std::int64_t peak_rss();

}  // namespace argosy::command
