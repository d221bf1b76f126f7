#include "core/stripe_wire.h"

#include <algorithm>
#include <cstring>

#include "base/bytes.h"

namespace argosy::core {

namespace {

constexpr std::uint32_t kDealMagic = 0x64677261;  // "argd"
constexpr std::size_t kDealFixed = 40;
constexpr std::size_t kDealtBytes = 72;
constexpr std::size_t kCheckBytes = 8;
constexpr std::size_t kAlignment = 64;

std::size_t align(std::size_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

void put_place(base::Writer& writer, const Place& place) {
  writer.put(place.holder);
  writer.put(static_cast<std::uint32_t>(place.parity ? 1 : 0));
  writer.put(place.position);
  writer.put(place.group);
  writer.put(place.number);
}

std::optional<Place> get_place(base::Reader& reader) {
  Place place;
  place.holder = reader.get<std::uint32_t>();
  const auto parity = reader.get<std::uint32_t>();
  place.parity = parity != 0;
  place.position = reader.get<std::uint64_t>();
  place.group = reader.get<std::int64_t>();
  place.number = reader.get<std::int64_t>();
  if (!reader.ok() || parity > 1 || place.group < 0 || place.number < 0) return std::nullopt;
  return place;
}

void put_digest(base::Writer& writer, const base::Digest& digest) {
  writer.put(digest.low);
  writer.put(digest.high);
}

base::Digest get_digest(base::Reader& reader) {
  base::Digest digest;
  digest.low = reader.get<std::uint64_t>();
  digest.high = reader.get<std::uint64_t>();
  return digest;
}

void seal(std::vector<std::byte>& bytes) { base::Writer(bytes).put(base::checksum_of(bytes)); }

// The message without its checksum, when that is right.
std::span<const std::byte> unseal(std::span<const std::byte> bytes) {
  if (bytes.size() < kCheckBytes) return {};
  const auto content = bytes.first(bytes.size() - kCheckBytes);
  const auto sum = base::Reader(bytes.last(kCheckBytes)).get<std::uint64_t>();
  return sum == base::checksum_of(content) ? content : std::span<const std::byte>{};
}

}  // namespace

std::size_t deal_head_bytes(std::size_t chunks) { return align(kDealFixed + chunks * kDealtBytes + kCheckBytes); }

std::size_t encode_deal(const Deal& deal, std::span<std::byte> into) {
  std::vector<std::byte> bytes;
  bytes.reserve(kDealFixed + deal.chunks.size() * kDealtBytes + kCheckBytes);
  base::Writer writer(bytes);
  writer.put(kDealMagic);
  writer.put(static_cast<std::uint32_t>(deal.end ? 1 : 0));
  writer.put(static_cast<std::uint32_t>(deal.chunks.size()));
  writer.put(deal.payload);
  writer.put(deal.rows);
  writer.put(deal.memory);
  writer.put(std::uint64_t{0});
  for (const Dealt& one : deal.chunks) {
    writer.put(one.row);
    put_place(writer, one.place);
    writer.put(one.at);
    writer.put(one.length);
    writer.put(one.offset);
    put_digest(writer, one.digest);
  }
  seal(bytes);
  std::memcpy(into.data(), bytes.data(), bytes.size());
  return bytes.size();
}

std::optional<Deal> decode_deal(std::span<const std::byte> message, std::size_t bundle,
                                std::span<const std::byte>& payload) {
  base::Reader reader(message);
  Deal deal;
  if (reader.get<std::uint32_t>() != kDealMagic) return std::nullopt;
  const auto end = reader.get<std::uint32_t>();
  deal.end = end == 1;
  const auto count = reader.get<std::uint32_t>();
  deal.payload = reader.get<std::uint32_t>();
  deal.rows = reader.get<std::int64_t>();
  deal.memory = reader.get<std::uint64_t>();
  reader.get<std::uint64_t>();
  if (!reader.ok() || end > 1 || count > bundle) return std::nullopt;
  const std::size_t head = kDealFixed + count * kDealtBytes + kCheckBytes;
  if (message.size() < head || unseal(message.first(head)).empty()) return std::nullopt;
  for (std::uint32_t i = 0; i < count; ++i) {
    Dealt one;
    one.row = reader.get<std::int64_t>();
    const auto place = get_place(reader);
    one.at = reader.get<std::uint32_t>();
    one.length = reader.get<std::uint32_t>();
    one.offset = reader.get<std::int64_t>();
    one.digest = get_digest(reader);
    if (!place || one.row < 0 || one.offset < 0 || one.at > deal.payload || one.length > deal.payload - one.at)
      return std::nullopt;
    one.place = *place;
    deal.chunks.push_back(one);
  }
  payload = {};
  if (deal.memory == kInline && count > 0) {
    const std::size_t begin = deal_head_bytes(bundle);
    if (message.size() < begin || message.size() - begin != deal.payload) return std::nullopt;
    payload = message.subspan(begin);
  }
  return deal;
}

std::vector<std::byte> encode_receipts(std::span<const StripeReceipt> receipts) {
  std::vector<std::byte> bytes;
  base::Writer writer(bytes);
  writer.put(static_cast<std::uint64_t>(receipts.size()));
  for (const StripeReceipt& one : receipts) {
    writer.put(one.message);
    writer.put(one.row);
    writer.put(one.error_number);
    writer.put(std::uint32_t{0});
  }
  seal(bytes);
  return bytes;
}

std::optional<std::vector<StripeReceipt>> decode_receipts(std::span<const std::byte> bytes) {
  base::Reader reader(unseal(bytes));
  const auto count = reader.get<std::uint64_t>();
  if (count == 0 || count > kReceiptsAMessage) return std::nullopt;
  std::vector<StripeReceipt> receipts(count);
  for (StripeReceipt& one : receipts) {
    one.message = reader.get<std::uint64_t>();
    one.row = reader.get<std::int64_t>();
    one.error_number = reader.get<std::int32_t>();
    reader.get<std::uint32_t>();
    if (one.error_number < 0) return std::nullopt;
  }
  if (!reader.ok() || reader.left() != 0) return std::nullopt;
  return receipts;
}

void encode_table_head(std::int64_t first_row, std::span<std::byte, kTableHeadBytes> into) {
  std::vector<std::byte> bytes;
  base::Writer(bytes).put(first_row);
  seal(bytes);
  std::memcpy(into.data(), bytes.data(), bytes.size());
}

std::optional<std::int64_t> decode_table_head(std::span<const std::byte> message) {
  if (message.size() < kTableHeadBytes || (message.size() - kTableHeadBytes) % kRowBytes != 0) return std::nullopt;
  base::Reader reader(unseal(message.first(kTableHeadBytes)));
  const auto first = reader.get<std::int64_t>();
  if (!reader.ok() || first < 0) return std::nullopt;
  return first;
}

std::vector<std::byte> encode_request(const Request& request) {
  std::vector<std::byte> bytes;
  base::Writer writer(bytes);
  writer.put(static_cast<std::uint32_t>(request.ask));
  writer.put(static_cast<std::uint32_t>(request.wanted.size()));
  writer.put(request.id);
  for (const Wanted& one : request.wanted) {
    writer.put(one.folder);
    writer.put(one.length);
    put_place(writer, one.place);
    writer.put(one.chunk_size);
    writer.put(one.offset);
    put_digest(writer, one.digest);
    writer.put(std::uint64_t{0});
  }
  seal(bytes);
  return bytes;
}

std::optional<Request> decode_request(std::span<const std::byte> bytes, std::size_t most) {
  base::Reader reader(unseal(bytes));
  Request request;
  const auto ask = reader.get<std::uint32_t>();
  const auto count = reader.get<std::uint32_t>();
  request.id = reader.get<std::uint64_t>();
  if (!reader.ok() || ask < 1 || ask > 4 || count > kMostBundled) return std::nullopt;
  request.ask = static_cast<Ask>(ask);
  std::size_t sum = 0;
  for (std::uint32_t i = 0; i < count; ++i) {
    Wanted one;
    one.folder = reader.get<std::uint32_t>();
    one.length = reader.get<std::uint32_t>();
    const auto place = get_place(reader);
    one.chunk_size = reader.get<std::int64_t>();
    one.offset = reader.get<std::int64_t>();
    one.digest = get_digest(reader);
    reader.get<std::uint64_t>();
    if (!place || one.chunk_size < 1 || one.offset < 0) return std::nullopt;
    one.place = *place;
    sum = request.ask == Ask::kCheck ? std::max<std::size_t>(sum, one.length) : sum + one.length;
    if (sum > most) return std::nullopt;
    request.wanted.push_back(one);
  }
  if (!reader.ok() || reader.left() != 0) return std::nullopt;
  return request;
}

std::size_t reply_head_bytes(std::size_t wanted) { return align(16 + wanted * 4 + kCheckBytes); }

void encode_reply(const Reply& reply, std::span<std::byte> into) {
  std::vector<std::byte> bytes;
  base::Writer writer(bytes);
  writer.put(reply.id);
  writer.put(static_cast<std::uint64_t>(reply.errors.size()));
  for (const std::int32_t error : reply.errors) writer.put(error);
  seal(bytes);
  std::memcpy(into.data(), bytes.data(), bytes.size());
}

std::optional<Reply> decode_reply(std::span<const std::byte> message) {
  base::Reader reader(message);
  Reply reply;
  reply.id = reader.get<std::uint64_t>();
  const auto count = reader.get<std::uint64_t>();
  if (!reader.ok() || count > kMostBundled || message.size() < reply_head_bytes(count)) return std::nullopt;
  if (unseal(message.first(16 + count * 4 + kCheckBytes)).empty()) return std::nullopt;
  for (std::uint64_t i = 0; i < count; ++i) {
    reply.errors.push_back(reader.get<std::int32_t>());
    if (reply.errors.back() < 0) return std::nullopt;
  }
  return reply;
}

}  // namespace argosy::core
