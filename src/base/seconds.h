// Time that has passed, as reports tell it.
#pragma once

#include <chrono>

namespace argosy::base {

inline double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace argosy::base
