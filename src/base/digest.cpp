#include "base/digest.h"

#include <fmt/format.h>
#include <xxhash.h>

#include <algorithm>
#include <array>
#include <new>

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
  const std::array<std::uint64_t, 3> fields = {sum.low, sum.high, static_cast<std::uint64_t>(length)};
  const XXH128_hash_t hash = XXH3_128bits(fields.data(), sizeof fields);
  return {hash.low64, hash.high64};
}

struct DigestStream::Leaf {
  Leaf() : state(XXH3_createState()) {
    if (state == nullptr) throw std::bad_alloc();
  }
  ~Leaf() { XXH3_freeState(state); }
  Leaf(const Leaf&) = delete;
  Leaf& operator=(const Leaf&) = delete;
  XXH3_state_t* state;
};

DigestStream::DigestStream() : leaf_(std::make_unique<Leaf>()) {}
DigestStream::~DigestStream() = default;

void DigestStream::add(std::span<const std::byte> data) {
  while (!data.empty()) {
    const std::int64_t in_leaf = length_ % kLeafSize;
    // Neither can fail with a state and data that are there.
    if (in_leaf == 0) {
      static_cast<void>(XXH3_128bits_reset_withSeed(leaf_->state, static_cast<std::uint64_t>(length_ / kLeafSize)));
    }
    const auto part = data.first(std::min(data.size(), static_cast<std::size_t>(kLeafSize - in_leaf)));
    static_cast<void>(XXH3_128bits_update(leaf_->state, part.data(), part.size()));
    length_ += static_cast<std::int64_t>(part.size());
    data = data.subspan(part.size());
    if (length_ % kLeafSize == 0) end_leaf();
  }
}

void DigestStream::end_leaf() {
  const XXH128_hash_t hash = XXH3_128bits_digest(leaf_->state);
  sum_ += Digest{hash.low64, hash.high64};
}

Digest DigestStream::finish() {
  if (length_ % kLeafSize != 0) end_leaf();
  return close_digest(sum_, length_);
}

std::uint64_t checksum_of(std::span<const std::byte> data) { return XXH3_64bits(data.data(), data.size()); }

std::string to_string(const Digest& digest) { return fmt::format("xxh3:{:016x}{:016x}", digest.high, digest.low); }

}  // namespace argosy::base
