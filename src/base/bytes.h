// Numbers and byte strings in messages: little-endian, bounds checked. A Reader takes hostile bytes: it never reads
// past the end, and says so by ok() turning false for good.
#pragma once

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace argosy::base {

static_assert(std::endian::native == std::endian::little, "argosy's wire and journal layouts are little-endian");

inline bool all_zeros(std::span<const std::byte> bytes) {
  return bytes.empty() ||
         (bytes.front() == std::byte{0} && std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0);
}

class Writer {
 public:
  // Appends to `out`, which outlives the Writer.
  explicit Writer(std::vector<std::byte>& out) : out_(out) {}

  template <std::integral T>
  void put(T value) {
    const std::size_t at = out_.size();
    out_.resize(at + sizeof value);
    std::memcpy(out_.data() + at, &value, sizeof value);
  }
  // The bytes behind their length as 32 bits.
  void put_string(std::string_view text) {
    put(static_cast<std::uint32_t>(text.size()));
    const std::size_t at = out_.size();
    out_.resize(at + text.size());
    if (!text.empty()) std::memcpy(out_.data() + at, text.data(), text.size());
  }

 private:
  std::vector<std::byte>& out_;
};

class Reader {
 public:
  explicit Reader(std::span<const std::byte> in) : in_(in) {}

  // The next number, or 0 once the bytes have run out.
  template <std::integral T>
  T get() {
    T value{};
    if (!take(sizeof value)) return value;
    std::memcpy(&value, taken_.data(), sizeof value);
    return value;
  }
  // A string as put_string wrote it; empty, and ok() false, when it is longer than `longest` or than what is left.
  std::string get_string(std::size_t longest) {
    const auto length = get<std::uint32_t>();
    if (length > longest) ok_ = false;
    if (!take(length)) return {};
    std::string text(length, '\0');
    if (length > 0) std::memcpy(text.data(), taken_.data(), length);
    return text;
  }
  bool ok() const { return ok_; }
  std::size_t left() const { return in_.size(); }

 private:
  bool take(std::size_t count) {
    if (!ok_ || count > in_.size()) {
      ok_ = false;
      return false;
    }
    taken_ = in_.first(count);
    in_ = in_.subspan(count);
    return true;
  }

  std::span<const std::byte> in_;
  std::span<const std::byte> taken_;
  bool ok_ = true;
};

}  // namespace argosy::base
