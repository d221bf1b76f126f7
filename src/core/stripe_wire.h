// The messages of scatter and gather (layout: doc/wire_format.md). All come from another rank and are hostile until
// decoded; decoding gives nothing where a message is damaged.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/digest.h"
#include "core/stripe_endpoint.h"

namespace argosy::core {

// --- scatter: a message with chunks for one worker ----------------------------------------------------------------

inline constexpr std::size_t kMostBundled = 1024;  // chunks in a message
inline constexpr std::uint64_t kInline = UINT64_MAX;

struct Dealt {
  std::int64_t row = 0;
  Place place;
  std::uint32_t at = 0;  // in the payload
  std::uint32_t length = 0;
  std::int64_t offset = 0;  // of the digest
  base::Digest digest;
};

struct Deal {
  bool end = false;                // no more come, and then:
  std::int64_t rows = -1;          // of the table, all of them; -1: the stripe is given up
  std::uint64_t memory = kInline;  // the payload's place in the sender's shared memory, or behind the head
  std::uint32_t payload = 0;       // bytes
  std::vector<Dealt> chunks;
};

// The room that a head with up to `chunks` chunks takes in front of the payload.
std::size_t deal_head_bytes(std::size_t chunks);
// Writes the head at the beginning of `into`; returns its length.
std::size_t encode_deal(const Deal& deal, std::span<std::byte> into);
// `payload` is set to the message's own payload where it is inline, which begins at deal_head_bytes(bundle).
std::optional<Deal> decode_deal(std::span<const std::byte> message, std::size_t bundle,
                                std::span<const std::byte>& payload);

// What a worker has done with a chunk.
struct StripeReceipt {
  std::uint64_t message = 0;      // the number of the message that brought it
  std::int64_t row = 0;           // kWholeMessage: the message could not be read
  std::int32_t error_number = 0;  // 0: stored
};
inline constexpr std::int64_t kWholeMessage = -1;
inline constexpr std::size_t kReceiptsAMessage = 1024;
inline constexpr std::size_t kReceiptsBytes = 16 + kReceiptsAMessage * 24;
std::vector<std::byte> encode_receipts(std::span<const StripeReceipt> receipts);
std::optional<std::vector<StripeReceipt>> decode_receipts(std::span<const std::byte> bytes);

// A page of the table; its rows have checks of their own.
inline constexpr std::size_t kTableHeadBytes = 16;
inline constexpr std::size_t kTableMessageBytes = kTableHeadBytes + static_cast<std::size_t>(base::kLeafSize);
void encode_table_head(std::int64_t first_row, std::span<std::byte, kTableHeadBytes> into);
std::optional<std::int64_t> decode_table_head(std::span<const std::byte> message);

// --- gather: requests and replies
// -------------------------------------------------------------------------------------

enum class Ask : std::uint8_t {
  kRead = 1,   // the bytes of these chunks
  kCheck = 2,  // only whether they are right
  kTable = 3,  // rows of the table: one entry
  kEnd = 4,    // no more requests
};

struct Wanted {
  std::uint32_t folder = 0;  // the receiver's number for it
  Place place;               // kTable: `number` is the first row
  std::int64_t chunk_size = 0;
  std::uint32_t length = 0;  // bytes
  std::int64_t offset = 0;   // of the digest
  base::Digest digest;
};

struct Request {
  Ask ask = Ask::kEnd;
  std::uint64_t id = 0;
  std::vector<Wanted> wanted;
};
inline constexpr std::size_t kRequestBytes = 32 + kMostBundled * 88;
std::vector<std::byte> encode_request(const Request& request);
// Nothing, too, where together more than `most` bytes are asked for.
std::optional<Request> decode_request(std::span<const std::byte> bytes, std::size_t most);

struct Reply {
  std::uint64_t id = 0;
  std::vector<std::int32_t> errors;  // one for each wanted: 0 or an errno
};
std::size_t reply_head_bytes(std::size_t wanted);
void encode_reply(const Reply& reply, std::span<std::byte> into);
std::optional<Reply> decode_reply(std::span<const std::byte> message);

}  // namespace argosy::core
