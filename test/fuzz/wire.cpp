// The heads of what travels: chunks, receipts, and the messages of stripes. An input's first byte says which.
#include <algorithm>
#include <array>
#include <cstring>
#include <string>

#include "base/error.h"
#include "check.h"
#include "core/chunk.h"
#include "core/receipt.h"
#include "core/stripe.h"
#include "core/stripe_wire.h"

namespace argosy {
namespace {

using core::Record;
using fuzz::require;
using Bytes = std::span<const std::byte>;

// The message with the payload's length that its own length asks for, and with its checksum.
std::vector<std::byte> as_chunk(Bytes input) {
  std::vector<std::byte> message(input.begin(), input.end());
  if (message.size() < core::kHeadBytes) return message;
  const auto records = base::Reader(std::span(message).subspan(20, 4)).get<std::uint32_t>();
  const std::size_t behind = std::size_t{records} * core::kRecordBytes;
  if (behind > message.size() - core::kHeadBytes) return message;
  const auto payload = static_cast<std::uint32_t>(message.size() - core::kHeadBytes - behind);
  std::memcpy(message.data() + 16, &payload, sizeof payload);
  const std::array<std::uint64_t, 2> sums = {base::checksum_of(std::span(message).first(core::kHeadBytes - 8)),
                                             base::checksum_of(std::span(message).last(behind))};
  const std::uint64_t sum = base::checksum_of(std::as_bytes(std::span(sums)));
  std::memcpy(message.data() + core::kHeadBytes - 8, &sum, sizeof sum);
  return message;
}

void look_at_chunk(Bytes message) {
  std::string why;
  std::optional<core::ChunkView> view;
  try {
    view = core::open_chunk(message, why);
  } catch (const base::Error& error) {
    require(error.failure().kind == base::Kind::kIntegrity, "what is impossible is a matter of integrity");
    return;
  }
  require(view.has_value() || !why.empty(), "what is refused says why");
  if (!view) return;
  require(view->records.size() <= core::kRecordsAChunk, "a chunk has its limit");
  require(view->payload.data() >= message.data() &&
              view->payload.data() + view->payload.size() <= message.data() + message.size(),
          "the payload lies in the message");
  std::uint64_t data = 0;
  for (const Record& record : view->records) {
    require(record.offset >= 0 && record.length >= 0 && record.offset <= INT64_MAX - record.length,
            "an extent lies in a file");
    data += record.payload();
    if (record.kind == Record::Kind::kEnd) {
      require(record.offset <= record.length, "not more was held than the file has");
    } else {
      require(record.offset % base::kLeafSize == 0 && record.failure == base::Kind::kNone, "data begins with a leaf");
    }
  }
  require(data == view->payload.size(), "each byte of the payload belongs to one extent");
  std::vector<std::byte> again(message.begin(), message.end());
  std::fill_n(again.begin(), core::kHeadBytes, std::byte{0});
  require(core::seal_chunk(again, view->head, view->records) == message.size() && std::ranges::equal(again, message),
          "a chunk has one encoding");
}

void look_at_receipt(Bytes message) {
  const auto receipt = core::decode_receipt(message);
  if (!receipt) return;
  require(receipt->failed.size() <= core::kFailuresAReceipt && receipt->bytes >= 0, "a receipt has its limits");
  require(std::ranges::equal(core::encode_receipt(*receipt), message), "a receipt has one encoding");
  core::Receipt sum = *receipt;
  sum += *receipt;
  require(sum.bytes >= receipt->bytes, "a sum of receipts does not wrap");
}

void look_at_deal(Bytes input, std::size_t bundle) {
  // The head ends behind its own chunks, the payload begins where the bundle's room ends.
  std::vector<std::byte> message(input.begin(), input.end());
  const auto count = base::Reader(input.size() < 12 ? Bytes{} : input.subspan(8, 4)).get<std::uint32_t>();
  const std::size_t head = 40 + std::size_t{count} * 72;
  if (count <= bundle && message.size() >= head + 8) {
    const std::uint64_t sum = base::checksum_of(std::span(message).first(head));
    std::memcpy(message.data() + head, &sum, sizeof sum);
  }
  Bytes payload;
  const auto deal = core::decode_deal(message, bundle, payload);
  if (!deal) return;
  require(deal->chunks.size() <= bundle, "a deal has its limit");
  for (const core::Dealt& one : deal->chunks) {
    require(std::uint64_t{one.at} + one.length <= deal->payload, "a chunk lies in the payload");
    require(one.row >= 0 && one.offset >= 0 && one.place.group >= 0 && one.place.number >= 0, "a chunk has a place");
  }
  if (!payload.empty()) require(payload.size() == deal->payload, "the payload is as long as it says");
  std::vector<std::byte> again(core::deal_head_bytes(bundle));
  const std::size_t length = core::encode_deal(*deal, again);
  if (!payload.empty()) again.resize(core::deal_head_bytes(bundle) + deal->payload);
  Bytes behind;
  const auto back = core::decode_deal(again, bundle, behind);
  if (deal->memory == core::kInline && payload.empty()) return;  // a payload of nothing is not told apart
  require(length <= again.size() && back && back->chunks.size() == deal->chunks.size() && back->rows == deal->rows,
          "a deal comes back");
}

void look_at_stripe_receipts(Bytes message) {
  const auto receipts = core::decode_receipts(message);
  if (!receipts) return;
  require(receipts->size() <= core::kReceiptsAMessage, "receipts have their limit");
  const auto again = core::decode_receipts(core::encode_receipts(*receipts));
  require(again && again->size() == receipts->size() && again->back().row == receipts->back().row,
          "receipts come back");
}

void look_at_request(Bytes message, std::size_t most) {
  const auto request = core::decode_request(message, most);
  if (!request) return;
  std::size_t sum = 0;
  for (const core::Wanted& one : request->wanted) {
    require(one.length <= most && one.chunk_size >= 1 && one.offset >= 0, "what is wanted can be had");
    sum += one.length;
  }
  require(sum <= most || request->ask == core::Ask::kCheck, "not more is wanted than fits");
  const auto again = core::decode_request(core::encode_request(*request), most);
  require(again && again->id == request->id && again->wanted.size() == request->wanted.size(), "a request comes back");
}

void look_at_reply(Bytes input) {
  std::vector<std::byte> message(input.begin(), input.end());
  const auto count = base::Reader(input.size() < 16 ? Bytes{} : input.subspan(8, 8)).get<std::uint64_t>();
  const std::size_t head = 16 + static_cast<std::size_t>(count) * 4;
  if (count <= core::kMostBundled && message.size() >= head + 8) {
    const std::uint64_t sum = base::checksum_of(std::span(message).first(head));
    std::memcpy(message.data() + head, &sum, sizeof sum);
  }
  const auto reply = core::decode_reply(message);
  if (!reply) return;
  std::vector<std::byte> again(core::reply_head_bytes(reply->errors.size()));
  core::encode_reply(*reply, again);
  const auto back = core::decode_reply(again);
  require(back && back->id == reply->id && back->errors == reply->errors, "a reply comes back");
}

void look_at_row(Bytes input) {
  if (input.size() < core::kRowBytes) return;
  const auto row = core::decode_row(input.first<core::kRowBytes>(), 5, 6);
  if (!row) return;
  std::array<std::byte, core::kRowBytes> again{};
  core::encode_row(*row, 5, 6, again);
  require(std::ranges::equal(again, input.first(core::kRowBytes)), "a row has one encoding");
}

}  // namespace
}  // namespace argosy

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace argosy;
  fuzz::Parts parts(std::as_bytes(std::span(data, size)));
  const std::uint8_t kind = parts.byte();
  const Bytes body = parts.rest();
  switch (kind % 8) {
    case 0:
      look_at_chunk(body);
      look_at_chunk(as_chunk(body));
      break;
    case 1:
      look_at_receipt(body);
      look_at_receipt(fuzz::sealed(body));
      break;
    case 2:
      look_at_deal(body, kind / 8 + 1);
      break;
    case 3:
      look_at_stripe_receipts(fuzz::sealed(body));
      break;
    case 4:
      look_at_request(fuzz::sealed(body), std::size_t{kind} << 10U);
      break;
    case 5:
      look_at_reply(body);
      break;
    case 6:
      static_cast<void>(core::decode_table_head(fuzz::sealed(body)));
      break;
    default:
      look_at_row(body);
  }
  return 0;
}
