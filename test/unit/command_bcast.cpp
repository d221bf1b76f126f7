// Which stage is named as the one that limited a transfer.
#include "command/bcast.h"

#include <gtest/gtest.h>

#include <string>

namespace argosy::command {
namespace {

std::vector<RankReport> chain_of(int ranks) {
  std::vector<RankReport> all(static_cast<std::size_t>(ranks));
  for (int rank = 0; rank < ranks; ++rank) {
    RankReport& one = all[static_cast<std::size_t>(rank)];
    one.rank = rank;
    one.host = "h" + std::to_string(rank + 1);
    if (rank + 1 < ranks) one.links = {{rank + 1, 5.0}};
  }
  return all;
}

TEST(LimitingStage, NamesASlowCardInTheMiddle) {
  auto ranks = chain_of(5);
  // The card of h4 is slow both ways. What comes before it may wait for it and look as busy, or be done early.
  ranks[2].links[0].busy = 9.8;
  ranks[3].links[0].busy = 9.7;
  ranks[3].network_wait = 3;
  EXPECT_EQ(limiting_stage(ranks, 10), "network into h4 (98 % busy)");
  ranks[0].links[0].busy = 9.7;
  ranks[1].links[0].busy = 9.6;
  EXPECT_EQ(limiting_stage(ranks, 10), "network into h4 (98 % busy)");
}

TEST(LimitingStage, NamesASlowCardAtTheEnd) {
  auto ranks = chain_of(5);
  ranks[3].links[0].busy = 9.7;
  EXPECT_EQ(limiting_stage(ranks, 10), "network into h5 (97 % busy)");
  for (int rank = 0; rank < 3; ++rank) ranks[static_cast<std::size_t>(rank)].links[0].busy = 9.7;
  EXPECT_EQ(limiting_stage(ranks, 10), "network into h5 (97 % busy)");
}

TEST(LimitingStage, MayBeADiskTheSourceOrHashing) {
  auto ranks = chain_of(3);
  ranks[2].disk = 9;
  EXPECT_EQ(limiting_stage(ranks, 10), "disk of h3 (90 % busy)");
  ranks[2].disk = 0;
  ranks[0].source = 8;
  EXPECT_EQ(limiting_stage(ranks, 10), "source on h1 (80 % busy)");
  ranks[1].hash = 9.5;
  EXPECT_EQ(limiting_stage(ranks, 10), "hash on h2 (95 % busy)");
}

TEST(LimitingStage, BearsAReportThatIsMissing) {
  auto ranks = chain_of(3);
  ranks.erase(ranks.begin() + 1);
  EXPECT_FALSE(limiting_stage(ranks, 10).empty());
}

TEST(LimitingStage, IsNothingWhenNothingTookTime) {
  EXPECT_EQ(limiting_stage(chain_of(1), 0), "");
  EXPECT_EQ(limiting_stage(chain_of(1), 1), "");
}

}  // namespace
}  // namespace argosy::command
