// The arithmetic of stripes, their parity and their manifest.
#include "core/stripe.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <numeric>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "core/erasure.h"
#include "core/stripe_manifest.h"
#include "core/stripe_wire.h"

namespace argosy {
namespace {

using core::Cell;
using core::Stripe;

std::vector<std::uint32_t> workers(std::uint32_t count, std::uint32_t first = 1) {
  std::vector<std::uint32_t> all(count);
  std::iota(all.begin(), all.end(), first);
  return all;
}

TEST(Stripe, ChunksGoRoundRobin) {
  for (std::uint32_t p = 2; p <= 9; ++p) {
    for (int parity = 0; parity < static_cast<int>(p) - 1; ++parity) {
      const Stripe stripe(1000, 7, workers(p - 1), parity);
      for (std::int64_t i = 0; i < stripe.chunks(); ++i) {
        const Cell cell = stripe.cell(stripe.row_of_chunk(i));
        EXPECT_FALSE(cell.parity);
        EXPECT_EQ(cell.number, i);
        EXPECT_EQ(cell.offset, i * 7);
        EXPECT_EQ(stripe.worker_of(cell), i % (p - 1) + 1) << "p " << p << " parity " << parity << " chunk " << i;
      }
    }
  }
}

TEST(Stripe, RowsAreAllCellsOnceAndGroupsUseEachWorkerOnce) {
  for (const std::int64_t size : {0, 1, 6, 7, 8, 69, 70, 71, 1000}) {
    for (const std::uint32_t count : {1U, 2U, 5U, 70U}) {
      for (const int parity : {0, 1, 3, 4}) {
        if (parity >= static_cast<int>(count)) continue;
        const Stripe stripe(size, 7, workers(count), parity);
        std::int64_t bytes = 0;
        std::int64_t rows = 0;
        std::set<std::pair<bool, std::pair<std::int64_t, std::int64_t>>> seen;
        for (std::int64_t group = 0; group < stripe.groups(); ++group) {
          std::set<std::uint32_t> holders;
          for (int i = 0; i < stripe.rows_in(group); ++i, ++rows) {
            const Cell cell = stripe.cell(stripe.first_row(group) + i);
            EXPECT_EQ(cell.group, group);
            EXPECT_GT(cell.length, 0);
            EXPECT_LE(cell.length, 7);
            if (!cell.parity) bytes += cell.length;
            EXPECT_TRUE(holders.insert(stripe.worker_of(cell)).second) << "two chunks of a group on one worker";
            EXPECT_TRUE(seen.insert({cell.parity, {cell.parity ? cell.group : 0, cell.number}}).second);
          }
        }
        EXPECT_EQ(bytes, size);
        EXPECT_EQ(rows, stripe.rows());
        for (const std::uint32_t worker : stripe.workers()) {
          std::int64_t dealt = 0;
          for (std::int64_t row = 0; row < rows; ++row) {
            if (stripe.worker_of(stripe.cell(row)) == worker) dealt += stripe.cell(row).length;
          }
          EXPECT_EQ(stripe.bytes_of(worker), dealt);
        }
      }
    }
  }
}

TEST(Stripe, BytesOfAVastFile) {
  const core::Stripe stripe(INT64_C(1) << 62, 4096, {5, 3, 8, 1, 9}, 1);
  std::int64_t bytes = 0;
  for (const std::uint32_t worker : stripe.workers()) bytes += stripe.bytes_of(worker);
  EXPECT_EQ(bytes, (INT64_C(1) << 62) / 4 * 5);
  EXPECT_EQ(stripe.bytes_of(7), 0);
}

TEST(Stripe, PositionsAreTheOrderOfRows) {
  for (const std::int64_t size : {1, 69, 700, 5000}) {
    for (const std::uint32_t count : {1U, 2U, 5U, 6U, 70U, 97U}) {
      for (const int parity : {0, 1, 3, 4}) {
        if (parity >= static_cast<int>(count)) continue;
        const Stripe stripe(size, 7, workers(count), parity);
        std::map<std::uint32_t, std::uint64_t> next;
        for (std::int64_t row = 0; row < stripe.rows(); ++row) {
          const Cell cell = stripe.cell(row);
          EXPECT_EQ(stripe.position_of(cell), next[stripe.worker_of(cell)]++)
              << size << " bytes, " << count << " workers, parity " << parity << ", row " << row;
        }
      }
    }
  }
}

TEST(Stripe, RowsAreCheckedByPlaceAndGeneration) {
  const core::Row row{{1, 2}, 3, 4};
  std::array<std::byte, core::kRowBytes> bytes{};
  core::encode_row(row, 5, 6, bytes);
  EXPECT_EQ(core::decode_row(bytes, 5, 6), row);
  EXPECT_EQ(core::decode_row(bytes, 4, 6), std::nullopt);
  EXPECT_EQ(core::decode_row(bytes, 5, 7), std::nullopt);
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    bytes[i] ^= std::byte{16};
    EXPECT_EQ(core::decode_row(bytes, 5, 6), std::nullopt) << "byte " << i;
    bytes[i] ^= std::byte{16};
  }
}

TEST(Stripe, LossesCountTheWorstHolders) {
  const auto stood = [](std::vector<std::uint32_t> holders, int needed) { return core::losses_stood(holders, needed); };
  EXPECT_EQ(stood({1, 2, 3, 4, 5}, 3), 2);
  EXPECT_EQ(stood({1, 2, 3}, 3), 0);
  EXPECT_EQ(stood({1, 2}, 3), -1);
  EXPECT_EQ(stood({1, 1, 2, 3, 4}, 3), 1);
  EXPECT_EQ(stood({1, 1, 2, 2, 3}, 4), 0);
}

// Every set of `parity` losses and more, made again from what is left.
TEST(Erasure, AnyLossesUpToTheParityCanBeMadeAgain) {
  std::mt19937 random(1);
  for (const auto& [data, parity] : {std::pair(1, 1), {3, 2}, {6, 2}, {5, 4}, {64, 3}}) {
    const std::size_t length = 4099;
    std::vector<std::vector<std::byte>> chunks(static_cast<std::size_t>(data + parity), std::vector<std::byte>(length));
    for (int i = 0; i < data; ++i) {
      for (std::byte& byte : chunks[static_cast<std::size_t>(i)]) byte = static_cast<std::byte>(random());
    }
    std::vector<std::byte*> sums;
    for (int i = data; i < data + parity; ++i) sums.push_back(chunks[static_cast<std::size_t>(i)].data());
    const core::Combination encoder = core::encoder(data, parity);
    for (int i = 0; i < data; ++i) encoder.add(i, chunks[static_cast<std::size_t>(i)], sums);
    for (int round = 0; round < 50; ++round) {
      std::vector<int> order(static_cast<std::size_t>(data + parity));
      std::iota(order.begin(), order.end(), 0);
      std::shuffle(order.begin(), order.end(), random);
      const std::vector<int> lost(order.begin(), order.begin() + parity);
      const std::vector<int> survivors(order.begin() + parity, order.end());
      const auto decoder = core::decoder(data, parity, survivors, lost);
      ASSERT_TRUE(decoder);
      std::vector<std::vector<std::byte>> again(lost.size(), std::vector<std::byte>(length));
      std::vector<std::byte*> into;
      for (auto& one : again) into.push_back(one.data());
      for (std::size_t i = 0; i < survivors.size(); ++i) {
        decoder->add(static_cast<int>(i), chunks[static_cast<std::size_t>(survivors[i])], into);
      }
      for (std::size_t i = 0; i < lost.size(); ++i) {
        ASSERT_EQ(again[i], chunks[static_cast<std::size_t>(lost[i])]) << "lost " << lost[i] << " of " << data;
      }
    }
  }
}

core::StripeManifest manifest() {
  core::StripeManifest one;
  one.file.path = "big.bin";
  one.file.size = 12345;
  one.file.mode = 0640;
  one.file.mtime = {1700000000, 5};
  one.generation = std::string(32, 'a');
  one.created = 17;
  one.chunk_size = 100;
  one.tree = true;
  one.workers = workers(5);
  one.parity = 2;
  one.losses = 2;
  one.failed = {{3, 28, 7}};
  one.replaces = {std::string(32, 'b'), std::string(32, 'c')};
  one.signature = {{5, 6}, {7, 8}, {9, 10}, {11, 12}};
  one.digest = {1, 2};
  one.table_digest = {3, 4};
  return one;
}

TEST(StripeManifest, ComesBackAsItWas) {
  for (const char* name : {"big.bin", "\xff\xfe", "new\nline", "a b"}) {
    core::StripeManifest one = manifest();
    one.file.path = name;
    std::string why;
    const auto again = core::decode_stripe_manifest(core::encode_stripe_manifest(one), why);
    ASSERT_TRUE(again) << why;
    EXPECT_EQ(again->file.path, name);
    EXPECT_EQ(again->file.mtime, one.file.mtime);
    EXPECT_EQ(core::identity_of(*again), core::identity_of(one));
    EXPECT_EQ(again->key(), one.key());
    EXPECT_EQ(again->replaces, one.replaces);
    EXPECT_EQ(again->signature, one.signature);
    EXPECT_GE(core::most_manifest_bytes(one), core::encode_stripe_manifest(one).size());
  }
}

TEST(StripeManifest, DamageIsSeen) {
  const std::string text = core::encode_stripe_manifest(manifest());
  std::mt19937 random(2);
  for (int i = 0; i < 2000; ++i) {
    std::string damaged = text;
    const std::size_t at = random() % damaged.size();
    damaged[at] = static_cast<char>(damaged[at] ^ (1 << (random() % 8)));
    std::string why;
    const auto read = core::decode_stripe_manifest(damaged, why);
    // What only lays the same content out otherwise is no damage.
    if (read) EXPECT_EQ(core::identity_of(*read), core::identity_of(manifest()));
  }
  for (std::size_t length = 0; length + 2 < text.size(); length += 7) {
    std::string why;
    EXPECT_FALSE(core::decode_stripe_manifest(text.substr(0, length), why));
  }
}

// With a checksum that is right, and yet not what argosy writes.
TEST(StripeManifest, DepthTakesNoStack) {
  constexpr std::size_t kLevels = 1'000'000;
  std::string why;
  EXPECT_FALSE(core::decode_stripe_manifest(
      "{\"checksum\":\"\",\"a\":" + std::string(kLevels, '[') + std::string(kLevels, ']') + "}", why));
}

TEST(StripeManifest, NonsenseIsRefused) {
  const auto refused = [](const std::function<void(nlohmann::json&)>& change) {
    nlohmann::json document = nlohmann::json::parse(core::encode_stripe_manifest(manifest()));
    document.erase("checksum");
    change(document);
    const std::string body = document.dump();
    document["checksum"] = base::to_string(
        base::close_digest(base::digest_of(std::as_bytes(std::span(body)), 0), static_cast<std::int64_t>(body.size())));
    std::string why;
    return !core::decode_stripe_manifest(document.dump(), why);
  };
  EXPECT_FALSE(refused([](nlohmann::json&) {}));
  EXPECT_TRUE(refused([](nlohmann::json& d) { d["size"] = -1; }));
  EXPECT_TRUE(refused([](nlohmann::json& d) { d["signature"].erase("modes"); }));
  EXPECT_TRUE(refused([](nlohmann::json& d) { d["signature"]["owners"] = "xxh3:"; }));
  EXPECT_TRUE(refused([](nlohmann::json& d) { d["size"] = 1e300; }));
  EXPECT_TRUE(refused([](nlohmann::json& d) { d["size"] = UINT64_MAX; }));
  EXPECT_TRUE(refused([](nlohmann::json& d) { d["chunk_size"] = 0; }));
  EXPECT_TRUE(refused([](nlohmann::json& d) { d["chunk_size"] = 101; }));
  EXPECT_TRUE(refused([](nlohmann::json& d) { d["name"] = "../x"; }));
  EXPECT_TRUE(refused([](nlohmann::json& d) { d["name"] = "a/b"; }));
  EXPECT_TRUE(refused([](nlohmann::json& d) { d["dealing"]["workers"] = {1, 1, 2, 3, 4}; }));
  EXPECT_TRUE(refused([](nlohmann::json& d) { d["dealing"]["workers"] = nlohmann::json::array(); }));
  EXPECT_TRUE(refused([](nlohmann::json& d) { d["parity"]["parity"] = 5; }));
  EXPECT_TRUE(refused([](nlohmann::json& d) { d["parity"]["data"] = 2; }));
  EXPECT_TRUE(refused([](nlohmann::json& d) { d["table"]["rows"] = 1; }));
  EXPECT_TRUE(refused([](nlohmann::json& d) { d["generation"] = "short"; }));
  EXPECT_TRUE(refused([](nlohmann::json& d) { d["digest"] = "xxh3:zz"; }));
  EXPECT_TRUE(refused([](nlohmann::json& d) { d["version"] = 2; }));
  EXPECT_TRUE(refused([](nlohmann::json& d) { d.erase("mtime"); }));
  EXPECT_TRUE(refused([](nlohmann::json& d) { d["layout"] = "rows"; }));
  EXPECT_TRUE(refused([](nlohmann::json& d) { d["replaces"] = {"../x"}; }));
  EXPECT_TRUE(refused([](nlohmann::json& d) { d["replaces"] = 7; }));
}

TEST(StripeWire, ComesBackAndDamageIsSeen) {
  core::Deal deal;
  deal.payload = 30;
  deal.chunks = {{7, {2, 3, false, 1, 7}, 0, 10, 70, {1, 2}}, {8, {2, 4, true, 1, 1}, 10, 20, 80, {3, 4}}};
  std::vector<std::byte> message(core::deal_head_bytes(4) + 30);
  core::encode_deal(deal, message);
  std::span<const std::byte> payload;
  const auto again = core::decode_deal(message, 4, payload);
  ASSERT_TRUE(again);
  EXPECT_EQ(payload.size(), 30U);
  EXPECT_EQ(again->chunks.size(), 2U);
  EXPECT_EQ(again->chunks[1].place.position, 4U);
  EXPECT_FALSE(core::decode_deal(message, 1, payload)) << "more chunks than agreed";
  core::Request request;
  request.ask = core::Ask::kRead;
  request.id = 9;
  request.wanted = {{1, {2, 3, true, 4, 5}, 100, 50, 6, {7, 8}}};
  const std::vector<std::byte> asked = core::encode_request(request);
  EXPECT_TRUE(core::decode_request(asked, 50));
  EXPECT_FALSE(core::decode_request(asked, 49)) << "more than a slot holds";
  const std::vector<core::StripeReceipt> receipts = {{1, 2, 0}, {3, 4, 28}};
  const std::vector<std::byte> told = core::encode_receipts(receipts);
  ASSERT_TRUE(core::decode_receipts(told));
  EXPECT_EQ((*core::decode_receipts(told))[1].error_number, 28);
  std::mt19937 random(3);
  for (int i = 0; i < 4000; ++i) {
    for (const std::vector<std::byte>* const whole :
         {static_cast<const std::vector<std::byte>*>(&message), &asked, &told}) {
      std::vector<std::byte> damaged = *whole;
      const std::size_t head = whole == &message ? 40 + 2 * 72 + 8 : damaged.size();
      damaged[random() % head] ^= std::byte{static_cast<unsigned char>(1U << (random() % 8))};
      if (whole == &message) EXPECT_FALSE(core::decode_deal(damaged, 4, payload));
      if (whole == &asked) EXPECT_FALSE(core::decode_request(damaged, 50));
      if (whole == &told) EXPECT_FALSE(core::decode_receipts(damaged));
      damaged.resize(random() % damaged.size());
      static_cast<void>(core::decode_deal(damaged, 4, payload));
      static_cast<void>(core::decode_request(damaged, 50));
      static_cast<void>(core::decode_receipts(damaged));
      static_cast<void>(core::decode_reply(damaged));
      static_cast<void>(core::decode_table_head(damaged));
    }
  }
}

TEST(DigestStream, IsTheDigestOfTheWhole) {
  std::mt19937 random(4);
  std::vector<std::byte> data(1'000'003);
  for (std::byte& byte : data) byte = static_cast<std::byte>(random());
  const auto whole = base::close_digest(base::digest_of(data, 0), static_cast<std::int64_t>(data.size()));
  for (int round = 0; round < 5; ++round) {
    base::DigestStream stream;
    for (std::size_t at = 0; at < data.size();) {
      const std::size_t part = std::min<std::size_t>(data.size() - at, random() % (1U << (4 * round + 4)));
      stream.add(std::span<const std::byte>(data).subspan(at, part));
      at += part;
    }
    EXPECT_EQ(stream.finish(), whole);
  }
  base::DigestStream empty;
  EXPECT_EQ(empty.finish(), base::close_digest({}, 0));
}

}  // namespace
}  // namespace argosy
