// The budget of a job, with a clock of the test's own.
#include "http/budget.h"

#include <gtest/gtest.h>

namespace argosy::http {
namespace {

TEST(HttpBudget, ConnectionsOfAHost) {
  Budget budget(2, 1);
  EXPECT_TRUE(budget.host_is_free("h", 0));
  budget.began("h");
  budget.began("h");
  EXPECT_FALSE(budget.host_is_free("h", 0));
  EXPECT_TRUE(budget.host_is_free("other", 0));
  budget.ended("h");
  EXPECT_TRUE(budget.host_is_free("h", 0));
}

TEST(HttpBudget, ARefusalPausesTheHostAndHalvesIt) {
  Budget budget(8, 1);
  EXPECT_DOUBLE_EQ(budget.refused("h", 3.0, 10), 3);
  EXPECT_FALSE(budget.host_is_free("h", 12.9));
  EXPECT_TRUE(budget.host_is_free("h", 13));
  EXPECT_EQ(budget.allowed("h"), 4);
  // What was under way with it says nothing new.
  budget.refused("h", 1.0, 10.5);
  EXPECT_EQ(budget.allowed("h"), 4);
  EXPECT_DOUBLE_EQ(budget.paused_until("h"), 13);
  for (int i = 0; i < 100; ++i) budget.answered_well("h");
  EXPECT_EQ(budget.allowed("h"), 8);
}

TEST(HttpBudget, WithoutATimePausesGrow) {
  Budget budget(8, 1);
  double now = 0;
  double before = 0;
  for (int i = 0; i < 6; ++i) {
    const double pause = budget.refused("h", std::nullopt, now);
    EXPECT_GT(pause, before / 2);
    before = pause;
    now += pause;
  }
  EXPECT_GT(before, 2);
  EXPECT_LE(budget.backoff(100), 30);
}

}  // namespace
}  // namespace argosy::http
