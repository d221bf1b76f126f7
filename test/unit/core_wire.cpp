// Manifest pages, answers, chunks and receipts: there and back, and everything that must be refused.
#include <gtest/gtest.h>

#include <random>

#include "base/digest.h"
#include "core/chunk.h"
#include "core/manifest.h"
#include "core/packed.h"
#include "core/receipt.h"

namespace argosy::core {
namespace {

Page sample_page() {
  Page page;
  page.number = 3;
  page.first = 2048;
  Entry a;
  a.path = "sub/na\nme\xff";
  a.size = 1'234'567'890'123;
  a.mode = 04755;
  a.uid = 12;
  a.gid = 13;
  a.mtime = {1'700'000'000, 999'999'999};
  a.ctime = {-5, 1};
  a.inode = 77;
  Entry missing;
  missing.path = std::string(255, 'x');
  missing.size = kMissing;
  missing.error_number = ENOENT;
  Entry pipe;
  pipe.path = "in";
  pipe.open_ended = true;
  page.entries = {a, missing, pipe};
  return page;
}

// The page with `change` made to it and a right checksum: what a hostile peer would send.
std::optional<Page> decoded_with(const std::function<void(Page&)>& change) {
  Page page = sample_page();
  change(page);
  std::string why;
  return decode_page(encode_page(page), why);
}

TEST(Manifest, PageComesBackAsItWas) {
  const Page page = sample_page();
  std::string why;
  const auto back = decode_page(encode_page(page), why);
  ASSERT_TRUE(back) << why;
  EXPECT_EQ(back->number, 3U);
  EXPECT_EQ(back->first, 2048U);
  EXPECT_FALSE(back->last);
  ASSERT_EQ(back->entries.size(), 3U);
  EXPECT_EQ(back->entries[0].path, page.entries[0].path);
  EXPECT_EQ(back->entries[0].size, page.entries[0].size);
  EXPECT_EQ(back->entries[0].mode, 04755U);
  EXPECT_EQ(back->entries[0].mtime, page.entries[0].mtime);
  EXPECT_EQ(back->entries[0].ctime, page.entries[0].ctime);
  EXPECT_EQ(back->entries[0].inode, 77U);
  EXPECT_EQ(back->entries[1].size, -1);
  EXPECT_FALSE(back->entries[1].readable());
  EXPECT_TRUE(back->entries[2].open_ended);
}

TEST(Manifest, HostilePagesAreRefused) {
  EXPECT_TRUE(decoded_with([](Page&) {}));
  for (const char* path : {"", "/etc/passwd", "..", "a/../b", "a//b", ".", "./a", "a/", "a/.."}) {
    EXPECT_FALSE(decoded_with([&](Page& page) { page.entries[0].path = path; })) << path;
  }
  EXPECT_FALSE(decoded_with([](Page& page) { page.entries[0].path = std::string("a\0b", 3); }));
  EXPECT_FALSE(decoded_with([](Page& page) { page.entries[0].path = std::string(256, 'x'); }));
  EXPECT_FALSE(decoded_with([](Page& page) { page.entries[0].size = -2; }));
  EXPECT_FALSE(decoded_with([](Page& page) { page.entries[0].size = INT64_MIN; }));
  EXPECT_FALSE(decoded_with([](Page& page) { page.entries[0].size = INT64_MAX; }));
  EXPECT_FALSE(decoded_with([](Page& page) { page.last = true; }));
  EXPECT_FALSE(decoded_with([](Page& page) { page.entries[0].mode = 0100644; }));
  EXPECT_FALSE(decoded_with([](Page& page) { page.entries[0].mtime.nanoseconds = 1'000'000'000; }));
  EXPECT_FALSE(decoded_with([](Page& page) { page.entries[0].mtime.nanoseconds = -1; }));
  EXPECT_FALSE(decoded_with([](Page& page) { page.entries[2].size = 4; }));
  EXPECT_FALSE(decoded_with([](Page& page) { page.entries[0].error_number = -1; }));
  EXPECT_FALSE(decoded_with([](Page& page) { page.entries.resize(kEntriesAPage + 1, page.entries[0]); }));
}

TEST(Manifest, EveryDamagedByteAndEveryLengthIsNoticed) {
  const auto bytes = encode_page(sample_page());
  std::string why;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    auto damaged = bytes;
    damaged[i] ^= std::byte{4};
    EXPECT_FALSE(decode_page(damaged, why)) << i;
    EXPECT_FALSE(decode_page(std::span(bytes).first(i), why)) << i;
  }
}

TEST(Manifest, AnswerComesBack) {
  std::mt19937 random(3);
  for (const std::size_t count : {0U, 1U, 7U, 8U, 9U, 1024U}) {
    Answer answer{9, std::vector<bool>(count)};
    for (std::size_t i = 0; i < count; ++i) answer.wanted[i] = random() % 2 == 0;
    const auto bytes = encode_answer(answer);
    EXPECT_LE(bytes.size(), kAnswerBytes);
    const auto back = decode_answer(bytes);
    ASSERT_TRUE(back);
    EXPECT_EQ(back->page, 9U);
    EXPECT_EQ(back->wanted, answer.wanted);
  }
}

struct Sealed {
  explicit Sealed(Head head, std::vector<Record> records) : slot(message_capacity(base::kLeafSize)) {
    for (std::size_t i = 0; i < head.payload; ++i) slot[kHeadBytes + i] = static_cast<std::byte>(i);
    slot.resize(seal_chunk(slot, head, records));
  }
  std::vector<std::byte> slot;
};

Record data_record(std::uint64_t entry, std::int64_t offset, std::int64_t length) {
  Record record;
  record.entry = entry;
  record.offset = offset;
  record.length = length;
  record.digest = {1, 2};
  return record;
}

TEST(Chunk, ComesBackAsItWas) {
  Head head;
  head.index = 5;
  head.payload = 300;
  head.last = true;
  head.stream_bytes = 12345;
  head.stream_entries = 7;
  Record end = data_record(3, 0, 100);
  end.kind = Record::Kind::kEnd;
  end.failure = base::Kind::kSource;
  const Sealed sealed(head, {data_record(3, 0, 100), data_record(4, base::kLeafSize, 200), end});
  std::string why;
  const auto view = open_chunk(sealed.slot, why);
  ASSERT_TRUE(view) << why;
  EXPECT_EQ(view->head.index, 5U);
  EXPECT_TRUE(view->head.last);
  EXPECT_EQ(view->head.stream_bytes, 12345);
  EXPECT_EQ(view->head.stream_entries, 7U);
  ASSERT_EQ(view->records.size(), 3U);
  EXPECT_EQ(view->records[1].offset, base::kLeafSize);
  EXPECT_EQ(view->records[1].digest, (base::Digest{1, 2}));
  EXPECT_EQ(view->records[2].failure, base::Kind::kSource);
  EXPECT_EQ(view->payload.size(), 300U);
  EXPECT_EQ(view->payload[299], static_cast<std::byte>(299 % 256));
}

TEST(Chunk, ImpossibleRecordsAreRefused) {
  Head head;
  head.payload = 100;
  std::string why;
  const auto refused = [&](std::vector<Record> records) {
    const Sealed sealed(head, std::move(records));
    try {
      return !open_chunk(sealed.slot, why);
    } catch (const base::Error& error) {
      return error.failure().kind == base::Kind::kIntegrity;
    }
  };
  EXPECT_FALSE(refused({data_record(0, 0, 100)}));
  EXPECT_TRUE(refused({data_record(0, 0, 99)}));                         // a byte of the payload belongs to nobody
  EXPECT_TRUE(refused({data_record(0, 0, 60), data_record(1, 0, 60)}));  // more than there is
  EXPECT_TRUE(refused({data_record(0, -1, 100)}));
  EXPECT_TRUE(refused({data_record(0, 7, 100)}));  // not on a leaf
  EXPECT_TRUE(
      refused({data_record(0, INT64_MAX / base::kLeafSize * base::kLeafSize, INT64_MAX), data_record(0, 0, 1)}));
  Record negative = data_record(0, 0, -5);
  EXPECT_TRUE(refused({negative, data_record(0, 0, 100)}));
  Record unknown = data_record(0, 0, 100);
  unknown.kind = static_cast<Record::Kind>(9);
  EXPECT_TRUE(refused({unknown}));
  Record end = data_record(0, 0, 0);
  end.kind = Record::Kind::kEnd;
  end.failure = static_cast<base::Kind>(99);
  EXPECT_TRUE(refused({data_record(0, 0, 100), end}));
}

std::vector<std::byte> with_pages(std::size_t bytes, std::uint64_t pages) {
  std::vector<std::byte> data(bytes);
  for (std::size_t at = 0; at < bytes; ++at) {
    if ((pages >> (at / 4096) & 1U) != 0) data[at] = static_cast<std::byte>(at % 251 + 1);
  }
  return data;
}

TEST(Packed, ComesBackAsItWasWithoutItsZeros) {
  std::mt19937_64 random(3);
  for (const std::size_t bytes : {1UL, 4095UL, 4096UL, 4097UL, 40'000UL, 262'144UL, 200'001UL}) {
    for (int round = 0; round < 20; ++round) {
      const auto data = with_pages(bytes, round == 0 ? 0 : round == 1 ? ~0ULL : random());
      auto packed = data;
      const auto length = pack(packed);
      if (!length) {
        EXPECT_EQ(packed, data);
        continue;
      }
      EXPECT_LT(*length, bytes);
      EXPECT_EQ(unpack(std::span(packed).first(*length), bytes), data);
      for (const std::size_t other : {*length - 1, *length + 1}) {
        packed.resize(std::max(packed.size(), other));
        EXPECT_NE(unpack(std::span(packed).first(other), bytes), data);
      }
    }
  }
  auto data = with_pages(16 * 4096, 1U << 3U | 1U << 9U);
  EXPECT_EQ(pack(data), 2 * 4096 + 2);
}

TEST(Packed, WhatNobodyPackedIsRefused) {
  auto data = with_pages(20 * 4096, 1U << 3U);
  const auto packed = std::span(data).first(pack(data).value());
  ASSERT_TRUE(unpack(packed, 20 * 4096));
  for (const std::size_t length : {0UL, 8UL * 4096, 24UL * 4096 + 1, 3UL << 20}) EXPECT_FALSE(unpack(packed, length));
  packed.back() |= std::byte{0x10};  // a page behind the end
  EXPECT_FALSE(unpack(packed, 20 * 4096));
  packed.back() = std::byte{1};  // a page that is not there
  EXPECT_FALSE(unpack(packed, 20 * 4096));
  EXPECT_FALSE(unpack({}, 4096));
}

TEST(Receipt, ComesBackAndDamageIsNoticed) {
  Receipt receipt;
  receipt.chunks = 4;
  receipt.bytes = 1LL << 40;
  receipt.files = 2;
  receipt.failed = {7, 1ULL << 50};
  receipt.last = true;
  const auto bytes = encode_receipt(receipt);
  const auto back = decode_receipt(bytes);
  ASSERT_TRUE(back);
  EXPECT_EQ(back->chunks, 4U);
  EXPECT_EQ(back->bytes, 1LL << 40);
  EXPECT_EQ(back->failed, receipt.failed);
  EXPECT_TRUE(back->last);
  EXPECT_EQ(back->stopped, 0U);
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    auto damaged = bytes;
    damaged[i] ^= std::byte{1};
    EXPECT_FALSE(decode_receipt(damaged)) << i;
  }
}

TEST(Digest, IsTheSameInAnyOrderAndForEveryChunkSize) {
  std::mt19937 random(1);
  std::vector<std::byte> data(5 * static_cast<std::size_t>(base::kLeafSize) + 12345);
  for (std::byte& b : data) b = static_cast<std::byte>(random());
  const base::Digest whole = base::digest_of(data, 0);
  for (const std::size_t leaves : {1U, 2U, 3U}) {
    const std::size_t chunk = leaves * static_cast<std::size_t>(base::kLeafSize);
    base::Digest sum;
    for (std::size_t at = (data.size() - 1) / chunk * chunk + chunk; at > 0;) {
      at -= chunk;
      sum += base::digest_of(std::span(data).subspan(at, std::min(chunk, data.size() - at)),
                             static_cast<std::int64_t>(at));
    }
    EXPECT_EQ(sum, whole);
  }
  EXPECT_NE(base::close_digest(whole, 1), base::close_digest(whole, 2));
  EXPECT_EQ(base::to_string({0x0123456789abcdefULL, 0xfedcba9876543210ULL}), "xxh3:fedcba98765432100123456789abcdef");
}

}  // namespace
}  // namespace argosy::core
