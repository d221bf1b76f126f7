// Receipts: a destination's answer for what it got. They drive the sender's progress and its end. On their way to the
// root they are summed up: counts for what went well, one index for each file that failed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace argosy::core {

inline constexpr std::size_t kFailuresAReceipt = 512;
inline constexpr std::size_t kReceiptBytes = 64 + kFailuresAReceipt * 8;

// What has happened since the receipt before.
struct Receipt {
  std::uint64_t chunks = 0;  // dealt with
  std::int64_t bytes = 0;    // verified and written
  std::uint64_t files = 0;   // committed
  std::vector<std::uint64_t>
      failed;  // entries that could not be committed, each once a destination; kFailuresAReceipt at most travel
  std::uint32_t stopped = 0;  // how many destinations can take no more, whatever comes
  bool last = false;          // everything has been dealt with

  bool empty() const { return chunks == 0 && bytes == 0 && files == 0 && failed.empty() && stopped == 0 && !last; }
  // The sum of two destinations' receipts; `last` is not summed, it is for their parent to say.
  Receipt& operator+=(const Receipt& other);
};

std::vector<std::byte> encode_receipt(const Receipt& receipt);
// Nothing where the bytes are damaged.
std::optional<Receipt> decode_receipt(std::span<const std::byte> bytes);

}  // namespace argosy::core
