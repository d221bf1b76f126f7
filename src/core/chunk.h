// One chunk as it travels: a head of 64 bytes, the payload, and behind it the records that say which part of which file
// each byte is and which files end here (layout: doc/wire_format.md). Head and payload are one message. A chunk comes
// from another rank and is hostile until open_chunk has checked it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/digest.h"
#include "base/error.h"

namespace argosy::core {

inline constexpr std::size_t kHeadBytes = 64;
inline constexpr std::size_t kRecordBytes = 48;
inline constexpr std::size_t kExtentsAChunk = 256;
// A small file brings two records, and some ends of large files may ride along.
inline constexpr std::size_t kRecordsAChunk = 2 * kExtentsAChunk + 64;
inline constexpr std::int64_t kLargestChunk = std::int64_t{1} << 30;  // a message's length stays below 2^31

struct Record {
  enum class Kind : std::uint8_t {
    kData = 1,    // `length` bytes of the payload, in the order of the records, lie at `offset` of the file
    kHole = 3,    // `length` bytes at `offset` of the file are zeros and do not travel
    kPacked = 4,  // as kData, of which some is zeros that do not travel (packed.h): `packed` bytes of the payload
    kEnd = 2,     // the file ends: its whole `length` and digest, or, with `failure`, that it can't be had
  };
  Kind kind = Kind::kData;
  base::Kind failure = base::Kind::kNone;  // kEnd only: why the source gave up
  std::uint64_t entry = 0;                 // index in the manifest
  std::uint32_t packed = 0;
  // kData, kHole, kPacked: where in the file; kEnd: how many bytes of it did not travel, since every destination held
  // them.
  std::int64_t offset = 0;
  std::int64_t length = 0;
  base::Digest digest;  // kData, kHole, kPacked: digest_of(these bytes, offset); kEnd: the whole file's, closed

  // How much of the payload is its own.
  std::uint64_t payload() const;
  // How many of a file's bytes travel with it.
  std::int64_t data() const;
};

struct Head {
  std::uint64_t index = 0;
  std::uint32_t payload = 0;  // bytes
  std::uint32_t records = 0;
  bool last = false;                 // the stream ends with this chunk, and then:
  std::int64_t stream_bytes = 0;     // the data bytes of all chunks
  std::uint64_t stream_entries = 0;  // the entries of the whole manifest
};

// A checked chunk. `payload` points into the message.
struct ChunkView {
  Head head;
  std::span<const std::byte> payload;
  std::vector<Record> records;
};

// The longest message of a chunk with up to `chunk_size` bytes of payload.
std::size_t message_capacity(std::int64_t chunk_size);

// Where the payload of a chunk that will be sealed in `slot` goes.
std::span<std::byte> payload_of(std::span<std::byte> slot, std::int64_t chunk_size);

// Writes head and records around the payload that is already in `slot`; returns the message's length. Records are at
// most kRecordsAChunk; head.records is set from them.
std::size_t seal_chunk(std::span<std::byte> slot, Head head, std::span<const Record> records);

// The chunk in `message`, or nothing where it is damaged; `why` then says what. Throws base::Error (kIntegrity) where
// it is whole and says what no honest peer says. The payload's own bytes are not looked at: that is verify's work.
std::optional<ChunkView> open_chunk(std::span<const std::byte> message, std::string& why);

}  // namespace argosy::core
