// What the harnesses share. A promise that does not hold ends the run, and libFuzzer keeps the input. A checksum keeps
// out damage and not a hostile peer, so the harnesses give what they make up the checksum that it needs.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/digest.h"

namespace argosy::fuzz {

inline void require(bool holds, const char* promise) {
  if (holds) return;
  std::fprintf(stderr, "does not hold: %s\n", promise);
  std::abort();
}

inline std::vector<std::byte> sealed(std::span<const std::byte> body) {
  std::vector<std::byte> bytes(body.begin(), body.end());
  base::Writer(bytes).put(base::checksum_of(body));
  return bytes;
}

// What core::is_safe_path promises, looked at in another way.
inline bool leads_nowhere_else(std::string_view path) {
  if (path.empty() || path.front() == '/' || path.back() == '/') return false;
  if (path.find('\0') != std::string_view::npos || path.find("//") != std::string_view::npos) return false;
  for (std::size_t at = 0; at <= path.size();) {
    const std::size_t end = std::min(path.find('/', at), path.size());
    const std::string_view name = path.substr(at, end - at);
    if (name == "." || name == ".." || name.size() > 255) return false;
    at = end + 1;
  }
  return true;
}

// Cuts an input into parts: each has its length in two bytes before it.
class Parts {
 public:
  explicit Parts(std::span<const std::byte> input) : rest_(input) {}
  bool empty() const { return rest_.empty(); }
  std::uint8_t byte() {
    if (rest_.empty()) return 0;
    const auto value = std::to_integer<std::uint8_t>(rest_.front());
    rest_ = rest_.subspan(1);
    return value;
  }
  std::span<const std::byte> part() {
    const std::size_t low = byte();
    const std::size_t high = byte();
    const auto one = rest_.first(std::min(rest_.size(), low | high << 8U));
    rest_ = rest_.subspan(one.size());
    return one;
  }
  std::span<const std::byte> rest() const { return rest_; }

 private:
  std::span<const std::byte> rest_;
};

inline std::string_view text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace argosy::fuzz

// Each harness defines it; libFuzzer calls it.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
