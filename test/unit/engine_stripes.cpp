// Dealing and collecting over transports, shares and files in memory: who gets what, what is acknowledged, and that
// what was scattered comes back whatever is lost in between.
#include <gtest/gtest.h>

#include <cerrno>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "stripe_world.h"

namespace argosy {
namespace {

using test::noise;
using test::Setting;
using test::World;

TEST(Scatter, DealsRoundRobinInOrderAndHearsOfEveryChunk) {
  for (int ranks = 2; ranks <= 8; ++ranks) {
    for (const bool shared : {false, true}) {
      World world({.ranks = ranks, .shared = shared});
      world.scatter(noise(5037, 1));
      ASSERT_TRUE(world.whole);
      EXPECT_EQ(world.told.size(), 51U);
      std::set<std::int64_t> chunks;
      for (const auto& [worker, chunk, error_number] : world.told) {
        EXPECT_EQ(error_number, 0);
        EXPECT_EQ(worker, chunk % (ranks - 1) + 1);
        EXPECT_TRUE(chunks.insert(chunk).second) << "acknowledged twice";
      }
      for (const auto& [worker, share] : world.shares) {
        for (const auto& [position, number] : share->numbers) {
          EXPECT_EQ(number, static_cast<std::int64_t>(position) * (ranks - 1) + worker - 1);
        }
        EXPECT_EQ(share->table.size(), 51 * core::kRowBytes);
      }
    }
  }
}

TEST(Scatter, AFullDisksShareIsTakenByTheOthers) {
  World world({.ranks = 4});
  world.shares[2]->room = 3;
  const std::string content = noise(5037, 2);
  world.scatter(content);
  ASSERT_TRUE(world.whole);
  EXPECT_EQ(world.shares[2]->chunks.size(), 3U);
  EXPECT_EQ(world.books[1].acknowledged, 3);
  EXPECT_EQ(world.books[1].error_number, ENOSPC);
  EXPECT_GT(world.books[1].failed, 0);
  EXPECT_EQ(world.counts.moved, 17 - 3);
  world.collect(0);
  EXPECT_EQ(world.out.content, content);
}

TEST(Scatter, NobodyLeftIsNoStripe) {
  World world({.ranks = 4});
  for (auto& [worker, share] : world.shares) share->room = 2;
  world.scatter(noise(5037, 3));
  EXPECT_FALSE(world.whole);
}

TEST(Scatter, ADamagedMessageIsSentAgain) {
  World world({.ranks = 4});
  int count = 0;
  world.fabric.damage = [&](int /*from*/, int /*to*/, core::Tag tag, std::vector<std::byte>& bytes) {
    if (tag != core::Tag::kStripe || bytes.size() < 1000 || ++count > 12 || count % 3 != 0) return;
    bytes[count % 2 == 0 ? 50 : bytes.size() - 1] ^= std::byte{1};
  };
  const std::string content = noise(9000, 4);
  world.scatter(content);
  ASSERT_TRUE(world.whole);
  for (const engine::Dealer::Book& book : world.books) EXPECT_EQ(book.error_number, 0);
  world.fabric.damage = nullptr;
  world.collect(2);
  EXPECT_EQ(world.out.content, content);
}

TEST(Gather, DamagedChunksAreMadeAgain) {
  World world({.ranks = 6, .parity = 2});
  const std::string content = noise(7777, 5);
  world.scatter(content);
  ASSERT_TRUE(world.whole);
  world.shares[1]->chunks[0][5] ^= 1;
  world.shares[3]->chunks[2].resize(50);
  world.collect(1);
  EXPECT_TRUE(world.missing.empty());
  EXPECT_GE(world.damaged, 1);
  EXPECT_EQ(world.out.content, content);
  EXPECT_EQ(world.out.table, world.shares[2]->table);
}

TEST(Gather, ADamagedTableIsTakenFromAnother) {
  World world({.ranks = 5, .parity = 1});
  const std::string content = noise(7777, 6);
  world.scatter(content);
  world.shares[1]->table[40] ^= 1;
  world.shares[2]->table.resize(100);
  world.collect(0);
  EXPECT_TRUE(world.missing.empty());
  EXPECT_EQ(world.out.content, content);
}

TEST(Gather, ARowThatNoTableHasIsMadeAgain) {
  for (const std::int64_t chunk : {100, 20}) {
    World world({.ranks = 6, .chunk = chunk, .parity = 2});
    const std::string content = noise(7777, 9);
    world.scatter(content);
    ASSERT_TRUE(world.whole);
    const std::string table = world.shares[1]->table;
    // Two rows of one group, and the last row of all, which is parity.
    for (auto& [worker, share] : world.shares) {
      for (const std::size_t row : {std::size_t{5}, std::size_t{7}, table.size() / core::kRowBytes - 1}) {
        share->table[row * core::kRowBytes + 3] ^= 1;
      }
    }
    world.collect(2);
    EXPECT_TRUE(world.missing.empty());
    EXPECT_EQ(world.out.content, content);
    EXPECT_EQ(world.out.table, table) << "with all its rows";
    world.collect(0, true);
    EXPECT_EQ(world.losses, 0) << "until it is repaired";
    // A third row of the group is one too many.
    for (auto& [worker, share] : world.shares) share->table[6 * core::kRowBytes] ^= 1;
    world.collect(0, true);
    EXPECT_EQ(world.losses, -1);
    world.collect(2);
    std::int64_t rows = 0;
    for (const auto& [share, missing] : world.missing) rows += missing.rows;
    EXPECT_EQ(rows, 3);
  }
}

// A slot belongs to the main thread: many small chunks on real threads lose some, or get one twice, if it is given back
// elsewhere.
TEST(Gather, SlotsAreGivenBackOnTheMainThread) {
  World world({.ranks = 3, .chunk = 1});
  const std::string content = noise(20000, 10);
  world.scatter(content);
  ASSERT_TRUE(world.whole);
  world.io[1] = std::make_unique<engine::Workers>(4);
  for (int round = 0; round < 3; ++round) {
    world.out.content.clear();
    world.collect(1);
    ASSERT_EQ(world.out.content, content);
  }
}

TEST(Gather, TooMuchLostIsListed) {
  World world({.ranks = 5, .parity = 1});
  world.scatter(noise(5000, 7));
  world.lost = {2, 3};
  world.collect(0);
  ASSERT_TRUE(world.missing.contains(2) || world.missing.contains(3));
  for (const auto& [share, missing] : world.missing) {
    EXPECT_TRUE(world.lost.contains(share));
    EXPECT_GT(missing.count, 0);
    EXPECT_FALSE(missing.chunks.empty());
  }
}

// Scatter, lose up to the parity, gather: the original, whatever the sizes. One more: a list, and never wrong bytes.
TEST(Gather, WhatWasScatteredComesBack) {
  std::mt19937 random(8);
  for (int round = 0; round < 150; ++round) {
    Setting setting;
    setting.ranks = static_cast<int>(2 + random() % 7);
    setting.root_too = random() % 3 == 0;
    setting.shared = random() % 2 == 0;
    setting.open_ended = random() % 4 == 0;
    const int count = setting.ranks - (setting.root_too ? 0 : 1);
    setting.parity = static_cast<int>(random() % static_cast<unsigned>(std::min(count, 4)));
    setting.chunk = std::vector<std::int64_t>{1, 7, 50, 100, 999, 262144}[random() % 6];
    const auto most = static_cast<unsigned>(setting.chunk * (setting.chunk > 1000 ? 4 : 60));
    const std::size_t bytes =
        random() % 5 == 0 ? static_cast<std::size_t>(setting.chunk) * (random() % 9) : random() % most;
    const std::string content = noise(bytes, static_cast<unsigned>(random()));
    SCOPED_TRACE("round " + std::to_string(round) + ": " + std::to_string(setting.ranks) + " ranks, chunk " +
                 std::to_string(setting.chunk) + ", parity " + std::to_string(setting.parity) + ", bytes " +
                 std::to_string(content.size()) + (setting.open_ended ? ", open-ended" : "") +
                 (setting.root_too ? ", root too" : ""));
    World world(setting);
    const bool fails = random() % 4 == 0 && count > 1;
    if (fails) world.shares[world.workers[random() % world.workers.size()]]->room = static_cast<int>(random() % 4);
    world.scatter(content);
    ASSERT_TRUE(world.whole);
    EXPECT_EQ(world.manifest.file.size, static_cast<std::int64_t>(content.size()));
    const int losses = static_cast<int>(random() % static_cast<unsigned>(world.counts.losses + 1));
    std::vector<std::uint32_t> order = world.workers;
    std::shuffle(order.begin(), order.end(), random);
    world.lost.insert(order.begin(), order.begin() + losses);
    const int collector = static_cast<int>(random() % static_cast<unsigned>(setting.ranks));
    world.collect(collector);
    ASSERT_TRUE(world.missing.empty());
    ASSERT_EQ(world.out.content, content);
    world.collect(collector, true);
    EXPECT_GE(world.losses, content.empty() ? 0 : world.counts.losses - losses);
  }
}

}  // namespace
}  // namespace argosy
