#include "core/packed.h"

#include <algorithm>
#include <cstring>

#include "base/bytes.h"

namespace argosy::core {

namespace {

constexpr std::size_t kPage = 4096;

std::span<const std::byte> page_at(std::span<const std::byte> data, std::size_t at) {
  return data.subspan(at, std::min(kPage, data.size() - at));
}

}  // namespace

std::size_t packed_bits(std::size_t bytes) { return ((bytes + kPage - 1) / kPage + 7) / 8; }

std::optional<std::size_t> pack(std::span<std::byte> data) {
  std::vector<std::byte> bits(packed_bits(data.size()));
  std::size_t there = 0;
  for (std::size_t at = 0, page = 0; at < data.size(); at += kPage, ++page) {
    const auto bytes = page_at(data, at);
    if (base::all_zeros(bytes)) continue;
    there += bytes.size();
    bits[page / 8] |= std::byte{1} << (page % 8);
  }
  if (there + bits.size() >= data.size()) return std::nullopt;
  std::size_t put = 0;
  for (std::size_t at = 0, page = 0; at < data.size(); at += kPage, ++page) {
    if ((bits[page / 8] & std::byte{1} << (page % 8)) == std::byte{0}) continue;
    const auto bytes = page_at(data, at);
    std::memmove(data.data() + put, bytes.data(), bytes.size());
    put += bytes.size();
  }
  std::memcpy(data.data() + put, bits.data(), bits.size());
  return put + bits.size();
}

std::optional<std::vector<std::byte>> unpack(std::span<const std::byte> packed, std::size_t length) {
  const std::size_t bit_bytes = packed_bits(length);
  if (packed.size() < bit_bytes || length == 0) return std::nullopt;
  const auto bits = packed.last(bit_bytes);
  auto rest = packed.first(packed.size() - bit_bytes);
  std::vector<std::byte> data(length);
  std::size_t page = 0;
  for (std::size_t at = 0; at < length; at += kPage, ++page) {
    if ((bits[page / 8] & std::byte{1} << (page % 8)) == std::byte{0}) continue;
    const std::size_t bytes = std::min(kPage, length - at);
    if (rest.size() < bytes) return std::nullopt;
    std::memcpy(data.data() + at, rest.data(), bytes);
    rest = rest.subspan(bytes);
  }
  const bool spare_is_zero = page % 8 == 0 || (bits.back() >> (page % 8)) == std::byte{0};
  if (!rest.empty() || !spare_is_zero) return std::nullopt;
  return data;
}

}  // namespace argosy::core
