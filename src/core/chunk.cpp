#include "core/chunk.h"

#include <array>
#include <cstring>

#include "base/bytes.h"
#include "core/packed.h"

namespace argosy::core {

namespace {

constexpr std::uint32_t kMagic = 0x43475241;  // "ARGC"
constexpr std::uint32_t kVersion = 1;
constexpr std::size_t kChecksumAt = kHeadBytes - 8;

std::uint64_t checksum(std::span<const std::byte> head, std::span<const std::byte> records) {
  // Two sums, chained: damage to either shows.
  const std::array<std::uint64_t, 2> sums = {base::checksum_of(head.first(kChecksumAt)), base::checksum_of(records)};
  return base::checksum_of(std::as_bytes(std::span(sums)));
}

void put_record(base::Writer& writer, const Record& record) {
  writer.put(static_cast<std::uint8_t>(record.kind));
  writer.put(std::uint8_t{0});
  writer.put(std::uint16_t{0});
  writer.put(record.kind == Record::Kind::kPacked ? static_cast<std::int32_t>(record.packed)
                                                  : static_cast<std::int32_t>(record.failure));
  writer.put(record.entry);
  writer.put(record.offset);
  writer.put(record.length);
  writer.put(record.digest.low);
  writer.put(record.digest.high);
}

bool is_failure_kind(std::int32_t value) {
  return value == 0 || (value >= static_cast<std::int32_t>(base::Kind::kSource) &&
                        value <= static_cast<std::int32_t>(base::Kind::kOrigin));
}

// False for a record that no honest peer writes.
bool get_record(base::Reader& reader, Record& record) {
  const auto kind = reader.get<std::uint8_t>();
  const bool spare_is_zero = (reader.get<std::uint8_t>() | reader.get<std::uint16_t>()) == 0;
  const auto failure = reader.get<std::int32_t>();
  record.entry = reader.get<std::uint64_t>();
  record.offset = reader.get<std::int64_t>();
  record.length = reader.get<std::int64_t>();
  record.digest.low = reader.get<std::uint64_t>();
  record.digest.high = reader.get<std::uint64_t>();
  if (kind < 1 || kind > 4) return false;
  record.kind = static_cast<Record::Kind>(kind);
  const bool packed = record.kind == Record::Kind::kPacked;
  if (packed && (failure <= 0 || record.length > kPackedMost)) return false;
  if (packed) record.packed = static_cast<std::uint32_t>(failure);
  if (!packed && !is_failure_kind(failure)) return false;
  if (!packed) record.failure = static_cast<base::Kind>(failure);
  if (record.offset < 0 || record.length < 0 || record.length > INT64_MAX - record.offset) return false;
  if (record.kind != Record::Kind::kEnd)
    return record.failure == base::Kind::kNone && record.offset % base::kLeafSize == 0 && spare_is_zero;
  return record.offset <= record.length && spare_is_zero;
}

}  // namespace

std::uint64_t Record::payload() const {
  if (kind == Kind::kData) return static_cast<std::uint64_t>(length);
  return kind == Kind::kPacked ? packed : 0;
}

std::int64_t Record::data() const {
  const auto bytes = static_cast<std::int64_t>(payload());
  return kind == Kind::kPacked ? bytes - static_cast<std::int64_t>(packed_bits(static_cast<std::size_t>(length)))
                               : bytes;
}

std::size_t message_capacity(std::int64_t chunk_size) {
  return kHeadBytes + static_cast<std::size_t>(chunk_size) + kRecordsAChunk * kRecordBytes;
}

std::span<std::byte> payload_of(std::span<std::byte> slot, std::int64_t chunk_size) {
  return slot.subspan(kHeadBytes, static_cast<std::size_t>(chunk_size));
}

std::size_t seal_chunk(std::span<std::byte> slot, Head head, std::span<const Record> records) {
  std::vector<std::byte> bytes;
  base::Writer writer(bytes);
  for (const Record& record : records) put_record(writer, record);
  const auto tail = slot.subspan(kHeadBytes + head.payload, bytes.size());
  if (!bytes.empty()) std::memcpy(tail.data(), bytes.data(), bytes.size());

  bytes.clear();
  writer.put(kMagic);
  writer.put(kVersion);
  writer.put(head.index);
  writer.put(head.payload);
  writer.put(static_cast<std::uint32_t>(records.size()));
  writer.put(head.stream_bytes);
  writer.put(head.stream_entries);
  writer.put(static_cast<std::uint32_t>(head.last ? 1 : 0));
  bytes.resize(kChecksumAt);
  writer.put(checksum(bytes, tail));
  std::memcpy(slot.data(), bytes.data(), kHeadBytes);
  return kHeadBytes + head.payload + tail.size();
}

std::optional<ChunkView> open_chunk(std::span<const std::byte> message, std::string& why) {
  why = "a chunk's head was damaged on its way";
  if (message.size() < kHeadBytes) return std::nullopt;
  base::Reader reader(message.first(kHeadBytes));
  const auto magic = reader.get<std::uint32_t>();
  const auto version = reader.get<std::uint32_t>();
  ChunkView view;
  view.head.index = reader.get<std::uint64_t>();
  view.head.payload = reader.get<std::uint32_t>();
  view.head.records = reader.get<std::uint32_t>();
  view.head.stream_bytes = reader.get<std::int64_t>();
  view.head.stream_entries = reader.get<std::uint64_t>();
  const auto flags = reader.get<std::uint32_t>();
  const auto spare = reader.get<std::uint32_t>();
  const auto spare_too = reader.get<std::uint64_t>();
  if (magic != kMagic || version != kVersion || view.head.records > kRecordsAChunk) return std::nullopt;
  const std::uint64_t expected = kHeadBytes + std::uint64_t{view.head.payload} + view.head.records * kRecordBytes;
  if (message.size() != expected) return std::nullopt;
  const auto tail = message.subspan(kHeadBytes + view.head.payload);
  if (base::Reader(message.subspan(kChecksumAt, 8)).get<std::uint64_t>() != checksum(message.first(kHeadBytes), tail))
    return std::nullopt;

  const auto require = [](bool possible, const char* what) {
    if (!possible) throw base::Error(base::Kind::kIntegrity, {}, 0, std::string("a chunk is refused: ") + what);
  };
  constexpr const char* kRecords = "its records are impossible";
  view.head.last = (flags & 1U) != 0;
  view.payload = message.subspan(kHeadBytes, view.head.payload);
  view.records.resize(view.head.records);
  base::Reader records(tail);
  std::uint64_t data = 0;
  for (Record& record : view.records) {
    require(get_record(records, record), kRecords);
    require(record.payload() <= view.head.payload - data, kRecords);
    data += record.payload();
  }
  require(data == view.head.payload, kRecords);
  require(flags <= 1 && spare == 0 && spare_too == 0 && view.head.stream_bytes >= 0, "its head is impossible");
  why.clear();
  return view;
}

}  // namespace argosy::core
