#include "base/digest.h"

#include <fmt/format.h>
#include <xxhash.h>

#include <algorithm>
#include <array>
#include <bit>

#if defined(__x86_64__)
// The library's own choice of the widest vector instructions of this processor.
#include <xxh_x86dispatch.h>
#endif

namespace argosy::base {

Digest& Digest::operator+=(const Digest& other) {
  low += other.low;
  high += other.high + (low < other.low ? 1 : 0);
  return *this;
}

Digest digest_of(std::span<const std::byte> data, std::int64_t offset) {
  Digest sum;
  auto leaf = static_cast<std::uint64_t>(offset / kLeafSize);
  while (!data.empty()) {
    const auto part = data.first(std::min(data.size(), static_cast<std::size_t>(kLeafSize)));
    const XXH128_hash_t hash = XXH3_128bits_withSeed(part.data(), part.size(), leaf);
    sum += Digest{hash.low64, hash.high64};
    data = data.subspan(part.size());
    ++leaf;
  }
  return sum;
}

Digest digest_of_zeros(std::int64_t offset, std::int64_t length) {
  static const std::array<std::byte, static_cast<std::size_t>(kLeafSize)> kZeros{};
  Digest sum;
  while (length > 0) {
    const std::int64_t part = std::min(length, kLeafSize);
    sum += digest_of(std::span(kZeros).first(static_cast<std::size_t>(part)), offset);
    offset += part;
    length -= part;
  }
  return sum;
}

Digest close_digest(const Digest& sum, std::int64_t length) {
  std::array<std::uint64_t, 3> fields = {sum.low, sum.high, static_cast<std::uint64_t>(length)};
  if constexpr (std::endian::native == std::endian::big) {
    for (std::uint64_t& field : fields) field = __builtin_bswap64(field);
  }
  const XXH128_hash_t hash = XXH3_128bits(fields.data(), sizeof fields);
  return {hash.low64, hash.high64};
}

std::uint64_t checksum_of(std::span<const std::byte> data) { return XXH3_64bits(data.data(), data.size()); }

std::string to_string(const Digest& digest) { return fmt::format("xxh3:{:016x}{:016x}", digest.high, digest.low); }

}  // namespace argosy::base
