#include "command/concat_memory.h"

#include <gtest/gtest.h>

#include <map>
#include <numeric>
#include <vector>

#include "base/digest.h"
#include "command/move.h"

namespace argosy {
namespace {

std::vector<int> first(int count) {
  std::vector<int> all(static_cast<std::size_t>(count));
  std::iota(all.begin(), all.end(), 0);
  return all;
}

// Every node keeps to --memory, every stream has a slot on both sides, chunks are whole leaves.
TEST(CommandConcatMemory, FitsEveryNode) {
  for (const std::int64_t memory : {std::int64_t{4} << 20, std::int64_t{16} << 20, std::int64_t{64} << 20}) {
    for (const std::int64_t bwlimit : {std::int64_t{0}, std::int64_t{1} << 20}) {
      for (int ranks = 1; ranks <= 40; ++ranks) {
        for (const int a_node : {1, 2, 40}) {
          command::CommonOptions options;
          options.memory = memory;
          options.bwlimit = bwlimit;
          std::vector<int> nodes;
          for (int rank = 0; rank < ranks; ++rank) nodes.push_back(rank / a_node * a_node);
          const int receiver = ranks / 2;
          const auto divided = command::divide_memory(options, nodes, first(ranks), receiver);
          if (!divided) {
            EXPECT_GT(static_cast<std::size_t>(ranks) + 16,
                      static_cast<std::size_t>(memory) / command::slot_bytes(base::kLeafSize));
            continue;
          }
          std::map<int, std::size_t> used;
          for (int rank = 0; rank < ranks; ++rank) {
            used[nodes[static_cast<std::size_t>(rank)]] += divided->bytes(rank, receiver);
            EXPECT_GE(divided->reading[static_cast<std::size_t>(rank)], 1U);
          }
          for (const auto& [node, bytes] : used) EXPECT_LE(bytes, static_cast<std::size_t>(memory));
          EXPECT_EQ(divided->chunk_size % base::kLeafSize, 0);
          EXPECT_EQ(divided->slot, command::slot_bytes(divided->chunk_size));
          if (ranks > 1) EXPECT_GE(divided->at_once * divided->receiving, 1U);
        }
      }
    }
  }
}

TEST(CommandConcatMemory, RanksThatDoNotGiveTakeNone) {
  const auto divided = command::divide_memory({}, {0, 1, 2, 3}, {1, 3}, 0);
  ASSERT_TRUE(divided);
  EXPECT_EQ(divided->at_once, 2U);
  EXPECT_EQ(divided->bytes(2, 0), 0U);
  EXPECT_EQ(divided->reading[0], 0U);
  EXPECT_EQ(divided->chunk_size, 1 << 20);
}

}  // namespace
}  // namespace argosy
