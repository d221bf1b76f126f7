// A part of a file with holes as it travels: of its pages of 4 KiB only those that are not all zeros, one behind the
// other, and behind them a bit for each page of the part, set where it is there (doc/wire_format.md).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace argosy::core {

inline constexpr std::int64_t kPackedMost = 1 << 20;  // bytes of a file that are packed together

// Packs `data`, at most kPackedMost, in place: how many of its first bytes that takes, of which the last
// packed_bits(data.size()) are the bits. Nothing, and `data` as it was, where it would not be shorter.
std::optional<std::size_t> pack(std::span<std::byte> data);
std::size_t packed_bits(std::size_t bytes);

// The `length` bytes that `packed` was made of; nothing where it was not made so.
std::optional<std::vector<std::byte>> unpack(std::span<const std::byte> packed, std::size_t length);

}  // namespace argosy::core
