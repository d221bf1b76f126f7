// Which stage is named as the one that limited a transfer.
#include "command/limits.h"

#include <gtest/gtest.h>

#include <set>

#include <string>

namespace argosy::command {
namespace {

std::vector<RankReport> chain_of(int ranks) {
  std::vector<RankReport> all(static_cast<std::size_t>(ranks));
  for (int rank = 0; rank < ranks; ++rank) {
    RankReport& one = all[static_cast<std::size_t>(rank)];
    one.rank = rank;
    one.host = "h" + std::to_string(rank + 1);
    if (rank + 1 < ranks) one.links = {{rank + 1, 5.0, 100}};
  }
  return all;
}

// All cards carry 100 but those of `slow`, which carry 50; every link was busy all the time.
std::vector<RankReport> busy_chain(int ranks, const std::set<int>& slow) {
  auto all = chain_of(ranks);
  for (RankReport& rank : all) {
    for (LinkReport& link : rank.links) {
      link.busy = 9.7;
      link.fastest = slow.contains(rank.rank) || slow.contains(link.to) ? 50 : 100;
    }
  }
  return all;
}

TEST(LimitingStage, NamesTheSlowCardWhereverItIs) {
  for (int slow = 1; slow < 5; ++slow) {
    EXPECT_EQ(limiting_stage(busy_chain(5, {slow}), 10), "network into h" + std::to_string(slow + 1) + " (97 % busy)");
  }
  EXPECT_EQ(limiting_stage(busy_chain(5, {0}), 10), "network out of h1 (97 % busy)");
}

TEST(LimitingStage, NamesASlowCardThatIsAllThereIsToSee) {
  auto ranks = busy_chain(3, {2});
  ranks[0].links.clear();
  EXPECT_EQ(limiting_stage(ranks, 10), "network into h3 (97 % busy)");
}

TEST(LimitingStage, NamesTheLastOfCardsThatAreAlike) {
  EXPECT_EQ(limiting_stage(busy_chain(5, {}), 10), "network into h5 (97 % busy)");
  EXPECT_EQ(limiting_stage(busy_chain(2, {1}), 10), "network into h2 (97 % busy)");
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
