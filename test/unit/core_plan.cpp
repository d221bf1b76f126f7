// The plan: every byte of every file in exactly one chunk, large files on chunk boundaries, small ones packed.
#include "core/plan.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

#include "base/digest.h"
#include "core/chunk.h"

namespace argosy::core {
namespace {

constexpr std::int64_t kChunkSize = 4 * base::kLeafSize;

TEST(Plan, CoversEveryFileOnce) {
  std::mt19937 random(7);
  for (int round = 0; round < 50; ++round) {
    Planner planner(kChunkSize);
    std::map<std::uint64_t, std::int64_t> sizes;
    for (std::uint64_t entry = 0; entry < 400; ++entry) {
      const std::int64_t size = random() % 5 == 0 ? static_cast<std::int64_t>(random() % (5 * kChunkSize))
                                                  : static_cast<std::int64_t>(random() % 5000);
      sizes[entry] = size;
      planner.add(entry, size, false);
    }
    std::map<std::uint64_t, std::int64_t> next;
    for (auto extents = planner.next(false); !extents.empty(); extents = planner.next(false)) {
      std::int64_t bytes = 0;
      ASSERT_LE(extents.size(), kExtentsAChunk);
      for (const Extent& extent : extents) {
        EXPECT_EQ(extent.offset, next[extent.entry]);
        next[extent.entry] += extent.length;
        bytes += extent.length;
        EXPECT_EQ(extent.small, sizes[extent.entry] < kChunkSize);
        EXPECT_EQ(extent.last, next[extent.entry] == sizes[extent.entry]);
        if (!extent.small) EXPECT_EQ(extents.size(), 1U);
      }
      EXPECT_LE(bytes, kChunkSize);
    }
    EXPECT_EQ(next, sizes);
  }
}

TEST(Plan, APartlyFilledChunkWaitsForMore) {
  Planner planner(kChunkSize);
  planner.add(0, 10, false);
  EXPECT_TRUE(planner.next(true).empty());
  EXPECT_EQ(planner.next(false).size(), 1U);
  planner.add(1, 10, false);
  planner.add(2, kChunkSize, false);  // what follows does not fit: no need to wait
  EXPECT_EQ(planner.next(true).size(), 1U);
}

TEST(Plan, AHoleIsFewExtents) {
  constexpr std::int64_t kSize = (std::int64_t{5} << 30) + 3;
  Planner planner(kChunkSize);
  planner.add(0, kSize, false);
  EXPECT_EQ(planner.next(false).front().rest, kSize - kChunkSize);
  planner.hole(0, 3 * kLongestHole + base::kLeafSize);
  planner.hole(0, kLongestHole);  // less than is known
  planner.hole(1, kSize);         // of no file that is planned
  std::int64_t at = kChunkSize;
  std::int64_t holes = 0;
  while (true) {
    const Extent extent = planner.next(false).front();
    EXPECT_EQ(extent.offset, at);
    EXPECT_EQ(extent.hole, at < 3 * kLongestHole + base::kLeafSize);
    EXPECT_LE(extent.length, extent.hole ? kLongestHole : kChunkSize);
    if (extent.hole) ++holes;
    at += extent.length;
    if (at > 4 * kLongestHole) break;
  }
  EXPECT_LE(holes, 4);
  planner.hole(0, kSize);
  std::vector<Extent> rest;
  for (auto extents = planner.next(false); !extents.empty(); extents = planner.next(false)) rest.push_back(extents[0]);
  ASSERT_LE(rest.size(), 2U);
  EXPECT_TRUE(rest.back().last && rest.back().hole);
  EXPECT_EQ(rest.back().offset + rest.back().length, kSize);
}

TEST(Plan, OpenEndedGoesOnUntilItIsEnded) {
  Planner planner(kChunkSize);
  planner.add(0, 0, true);
  for (int i = 0; i < 3; ++i) {
    const auto extents = planner.next(true);
    ASSERT_EQ(extents.size(), 1U);
    EXPECT_EQ(extents[0].offset, i * kChunkSize);
    EXPECT_FALSE(extents[0].last);
  }
  planner.end(0);
  EXPECT_TRUE(planner.next(false).empty());
}

}  // namespace
}  // namespace argosy::core
