// A whole peer that lies: what one rank of a transfer gets from the other. An input's first byte says which one is
// real, the rest are messages; they get the numbers, checksums and digests that make them as believable as can be.
#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <utility>

#include "base/error.h"
#include "check.h"
#include "core/chunk.h"
#include "core/packed.h"
#include "core/receipt.h"
#include "engine/transfer.h"
#include "memory_fabric.h"

namespace argosy {
namespace {

using fuzz::require;
using Bytes = std::span<const std::byte>;

constexpr std::int64_t kChunk = base::kLeafSize;
constexpr std::size_t kSlot =
    core::kHeadBytes + static_cast<std::size_t>(kChunk) + core::kRecordsAChunk * core::kRecordBytes;
constexpr int kMostMessages = 64;

// Keeps no data, but looks at every call.
class Sink final : public core::Sink {
 public:
  std::vector<bool> examine(const core::Page& page) override {
    std::vector<bool> wanted;
    for (std::size_t i = 0; i < page.entries.size(); ++i) {
      const core::Entry& entry = page.entries[i];
      require(fuzz::leads_nowhere_else(entry.path), "a path stays beneath the destination");
      wanted.push_back(entry.readable());
      if (wanted.back()) files_[page.first + i] = {entry.open_ended ? INT64_MAX : entry.size, {}, 0};
    }
    return wanted;
  }
  void write(std::uint64_t entry, std::int64_t offset, std::span<const std::byte> data) override {
    note(entry, offset, static_cast<std::int64_t>(data.size()));
  }
  void hole(std::uint64_t entry, std::int64_t offset, std::int64_t length) override { note(entry, offset, length); }
  void commit(std::uint64_t entry, std::int64_t length, const base::Digest& /*digest*/) override {
    const auto found = files_.find(entry);
    require(found != files_.end(), "what is committed was wanted and is neither committed nor discarded");
    require(length == found->second.bytes, "a file is committed when all of it is there");
    require(found->second.size == INT64_MAX || length == found->second.size, "a file has the size that was told");
    files_.erase(found);
  }
  void discard(std::uint64_t entry) noexcept override {
    require(files_.erase(entry) == 1, "what is discarded was wanted and is neither committed nor discarded");
  }

 private:
  struct File {
    std::int64_t size = 0;
    core::Ranges ranges;
    std::int64_t bytes = 0;
  };
  void note(std::uint64_t entry, std::int64_t offset, std::int64_t length) {
    const auto found = files_.find(entry);
    require(found != files_.end(), "what is written was wanted");
    require(offset >= 0 && length >= 0 && length <= found->second.size - offset, "an extent lies in its file");
    require(length == 0 || found->second.ranges.add({offset, offset + length}), "extents do not overlap");
    found->second.bytes += length;
  }
  std::map<std::uint64_t, File> files_;
};

// Makes messages of what the input says.
class Liar {
 public:
  std::vector<std::byte> page(Bytes input, bool in_order) {
    std::vector<std::byte> body(input.begin(), input.end());
    if (in_order && body.size() >= 25) {
      std::memcpy(body.data() + 4, &pages_, 8);
      std::memcpy(body.data() + 12, &entries_, 8);
    }
    std::vector<std::byte> bytes = fuzz::sealed(body);
    std::string why;
    if (const auto page = core::decode_page(bytes, why)) {
      ++pages_;
      entries_ += page->entries.size();
    }
    return bytes;
  }
  std::vector<std::byte> chunk(Bytes input, bool in_order) {
    std::vector<std::byte> message(input.begin(), input.end());
    if (message.size() < core::kHeadBytes) return message;
    if (in_order) std::memcpy(message.data() + 8, &chunks_, 8);
    ++chunks_;
    const auto records = base::Reader(std::span(message).subspan(20, 4)).get<std::uint32_t>();
    const std::size_t behind = std::size_t{records} * core::kRecordBytes;
    if (behind > message.size() - core::kHeadBytes) return message;
    const auto payload = static_cast<std::uint32_t>(message.size() - core::kHeadBytes - behind);
    std::memcpy(message.data() + 16, &payload, sizeof payload);
    bytes_ += payload;
    if (in_order && (message[40] & std::byte{1}) != std::byte{0}) {
      std::memcpy(message.data() + 24, &bytes_, 8);
      std::memcpy(message.data() + 32, &entries_, 8);
    }
    std::size_t at = core::kHeadBytes;
    for (std::uint32_t i = 0; i < records; ++i) {
      give_digest(std::span(message).subspan(core::kHeadBytes + payload + i * core::kRecordBytes, core::kRecordBytes),
                  std::span(message).subspan(at, core::kHeadBytes + payload - at), at);
    }
    const std::array<std::uint64_t, 2> sums = {base::checksum_of(std::span(message).first(core::kHeadBytes - 8)),
                                               base::checksum_of(std::span(message).last(behind))};
    const std::uint64_t sum = base::checksum_of(std::as_bytes(std::span(sums)));
    std::memcpy(message.data() + core::kHeadBytes - 8, &sum, sizeof sum);
    return message;
  }

 private:
  // Of data what its bytes have, of an end what the records so far add up to.
  void give_digest(std::span<std::byte> record, Bytes payload, std::size_t& at) {
    base::Reader reader(record);
    const auto kind = reader.get<std::uint8_t>();
    reader.get<std::uint8_t>();
    reader.get<std::uint16_t>();
    const auto packed = reader.get<std::uint32_t>();
    const auto entry = reader.get<std::uint64_t>();
    const auto offset = reader.get<std::int64_t>();
    const auto length = reader.get<std::int64_t>();
    base::Digest digest;
    if (kind == 1) {
      if (offset < 0 || offset % base::kLeafSize != 0 || length < 0 ||
          static_cast<std::uint64_t>(length) > payload.size())
        return;
      digest = base::digest_of(payload.first(static_cast<std::size_t>(length)), offset);
      at += static_cast<std::size_t>(length);
      sums_[entry] += digest;
    } else if (kind == 4) {
      if (offset < 0 || offset % base::kLeafSize != 0 || length < 0 || length > core::kPackedMost ||
          packed > payload.size())
        return;
      const auto data = core::unpack(payload.first(packed), static_cast<std::size_t>(length));
      if (data) digest = base::digest_of(*data, offset);
      at += packed;
      sums_[entry] += digest;
    } else if (kind == 3) {
      sums_[entry] += digest;
    } else {
      digest = base::close_digest(sums_[entry], length);
    }
    std::memcpy(record.data() + 32, &digest.low, 8);
    std::memcpy(record.data() + 40, &digest.high, 8);
  }

  std::uint64_t pages_ = 0;
  std::uint64_t entries_ = 0;
  std::uint64_t chunks_ = 0;
  std::int64_t bytes_ = 0;
  std::map<std::uint64_t, base::Digest> sums_;
};

engine::Pools pools_of(std::span<std::byte> memory) {
  return {engine::Pool(memory, kSlot), {engine::Pool(memory, kSlot)}};
}

// What the real rank says to the liar is taken, and is what a rank may say.
void take_replies(test::Fabric& fabric, int liar) {
  while (!fabric.inbox[liar].empty()) {
    const test::Fabric::Message message = std::move(fabric.inbox[liar].front());
    fabric.inbox[liar].pop_front();
    std::string why;
    if (message.tag == core::Tag::kAnswer) require(core::decode_answer(message.bytes).has_value(), "answers are good");
    if (message.tag == core::Tag::kReceipt)
      require(core::decode_receipt(message.bytes).has_value(), "receipts are good");
    if (message.tag == core::Tag::kPage) require(core::decode_page(message.bytes, why).has_value(), "pages are good");
    if (message.tag == core::Tag::kChunk) require(core::open_chunk(message.bytes, why).has_value(), "chunks are good");
    message.sent();
  }
}

void run(fuzz::Parts parts, bool destination) {
  static std::vector<std::byte> memory(4 * kSlot);
  const int real = destination ? 1 : 0;
  test::Fabric fabric(2);
  const core::Direct route(0, 1);
  engine::Workers workers(0);
  engine::Pools pools = pools_of(memory);
  Sink sink;
  std::optional<test::MemorySource> source;
  if (!destination)
    source.emplace(
        std::vector<test::MemorySource::File>{{"a", std::string(3 * kChunk + 5, 'a')}, {"b", "b"}, {"c", ""}}, 2);
  engine::Transfer::Settings settings;
  settings.origin.chunk_size = kChunk;
  settings.origin.ahead = 2;
  engine::Transfer transfer(fabric[real], workers, pools, route, source ? &*source : nullptr,
                            destination ? &sink : nullptr, settings);
  Liar liar;
  std::vector<std::vector<std::byte>> sent;
  const auto turn = [&] {
    for (int i = 0; i < 4; ++i) {
      fabric[real].poll();
      workers.drain();
      transfer.step();
      take_replies(fabric, 1 - real);
    }
  };
  try {
    turn();
    while (!parts.empty() && sent.size() < kMostMessages) {
      const std::uint8_t kind = parts.byte();
      const Bytes input = parts.part();
      const bool in_order = (kind & 4U) != 0;
      core::Tag tag = core::Tag::kPage;
      if (destination) {
        tag = (kind & 1U) != 0 ? core::Tag::kChunk : core::Tag::kPage;
        sent.push_back((kind & 1U) != 0 ? liar.chunk(input, in_order) : liar.page(input, in_order));
      } else {
        tag = (kind & 1U) != 0 ? core::Tag::kReceipt : core::Tag::kAnswer;
        sent.push_back(fuzz::sealed(input));
      }
      fabric[1 - real].send(real, tag, std::vector<std::byte>(), [] {});
      fabric.inbox[real].back().damaged = sent.back();
      fabric.inbox[real].back().bytes = fabric.inbox[real].back().damaged;
      turn();
    }
    transfer.stop();
    turn();
  } catch (const base::Error& error) {
    require(error.failure().kind == base::Kind::kIntegrity, "a lie is a matter of integrity");
  } catch (const std::length_error&) {
    // MPI ends a job in which a message is longer than its receive.
  }
  // Messages under way hold slots.
  fabric.inbox.clear();
}

}  // namespace
}  // namespace argosy

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace argosy;
  fuzz::Parts parts(std::as_bytes(std::span(data, size)));
  const bool destination = (parts.byte() & 1U) != 0;
  run(parts, destination);
  return 0;
}
