// The digest of a file, the same for every chunk size, order and rank: the sum modulo 2^128 of the XXH3-128 of its
// leaves of 256 KiB, each seeded with its index, closed with the length (doc/wire_format.md). It finds damage, not
// forgery. It is not what xxhsum prints.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

namespace argosy::base {

inline constexpr std::int64_t kLeafSize = 256 * 1024;

struct Digest {
  std::uint64_t low = 0;
  std::uint64_t high = 0;

  // The sum modulo 2^128, by which the parts of a file combine in any order.
  Digest& operator+=(const Digest& other);
  friend bool operator==(const Digest&, const Digest&) = default;
};

// The sum over the leaves of `data`, which lies at `offset` in its file. `offset` is a multiple of kLeafSize; only the
// file's last part may end inside a leaf.
Digest digest_of(std::span<const std::byte> data, std::int64_t offset);

// The same of `length` bytes that are all zero.
Digest digest_of_zeros(std::int64_t offset, std::int64_t length);

// A whole file's digest from the sum over all its leaves.
Digest close_digest(const Digest& sum, std::int64_t length);

// The same for data that comes in order and in parts of any length.
class DigestStream {
 public:
  DigestStream();
  ~DigestStream();
  DigestStream(const DigestStream&) = delete;
  DigestStream& operator=(const DigestStream&) = delete;

  void add(std::span<const std::byte> data);
  // Of all that was added, closed; nothing may be added afterwards.
  Digest finish();

 private:
  struct Leaf;
  void end_leaf();
  std::unique_ptr<Leaf> leaf_;
  Digest sum_;
  std::int64_t length_ = 0;
};

// A checksum of a message's own fields, against damage in flight.
std::uint64_t checksum_of(std::span<const std::byte> data);

// "xxh3:" and 32 hexadecimal digits.
std::string to_string(const Digest& digest);

}  // namespace argosy::base
