// The pulse over in-memory ranks: what rank 0 learns, what reaches the others, and when a stall is called one.
#include "engine/pulse.h"

#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <string>

#include "memory_fabric.h"

namespace argosy::engine {
namespace {

using Clock = std::chrono::steady_clock;

struct Two {
  explicit Two(double stall_timeout)
      : zero(fabric[0], {"h0", "h1"}, stall_timeout), one(fabric[1], {"h0", "h1"}, stall_timeout) {}
  ~Two() { fabric.inbox.clear(); }
  Two(const Two&) = delete;
  Two& operator=(const Two&) = delete;

  // Both go on until `done`; false when that takes ten seconds.
  bool run(const std::function<bool()>& done, bool rank_zero_lives = true) {
    const auto deadline = Clock::now() + std::chrono::seconds(10);
    while (Clock::now() < deadline) {
      if (rank_zero_lives) {
        fabric[0].poll();
        zero.step([&] { return of_zero; });
      }
      fabric[1].poll();
      one.step([&] { return of_one; });
      if (done()) return true;
    }
    return false;
  }

  test::Fabric fabric{2};
  Pulse zero;
  Pulse one;
  Pulse::Status of_zero;
  Pulse::Status of_one;
};

TEST(Pulse, RankZeroKnowsWhatAllHaveDone) {
  Two two(0);
  two.of_zero.bytes = 5;
  two.of_one.bytes = 7;
  two.of_one.files = 3;
  EXPECT_TRUE(two.run([&] { return two.zero.bytes() == 12 && two.zero.files() == 3; }));
}

TEST(Pulse, AFatalFailureReachesEveryRankAndRankZeroKnowsWhich) {
  Two two(0);
  two.of_one.fatal = base::Failure{base::Kind::kIntegrity, "a\nb", -1, {}, 0, "damaged"};
  ASSERT_TRUE(two.run([&] { return two.zero.fatal() && two.one.fatal(); }));
  EXPECT_EQ(two.zero.fatal()->kind, base::Kind::kIntegrity);
  EXPECT_EQ(two.zero.fatal()->path, "a\nb");
  EXPECT_EQ(two.zero.fatal()->rank, 1);
  EXPECT_EQ(two.zero.fatal()->host, "h1");
}

TEST(Pulse, AStallNamesWhoWaitsForWhom) {
  Two two(0.5);
  two.of_one.waits_for = 0;
  two.of_one.what = "data";
  ASSERT_TRUE(two.run([&] { return two.zero.stalled().has_value(); }));
  EXPECT_NE(two.zero.stalled()->find("rank 1 on h1 waits for rank 0 on h0: data"), std::string::npos)
      << *two.zero.stalled();
}

TEST(Pulse, NothingStallsWhileAnyRankMoves) {
  Two two(0.5);
  const auto end = Clock::now() + std::chrono::milliseconds(1500);
  EXPECT_TRUE(two.run([&] {
    ++two.of_one.activity;
    EXPECT_FALSE(two.zero.stalled() || two.one.stalled());
    return Clock::now() > end;
  }));
}

TEST(Pulse, ARankZeroThatDoesNotAnswerIsNoticed) {
  Two two(0.3);
  ASSERT_TRUE(two.run([&] { return two.one.stalled().has_value(); }, false));
  EXPECT_NE(two.one.stalled()->find("waits for rank 0 on h0"), std::string::npos);
}

TEST(Pulse, IsQuietOnceEveryReplyIsIn) {
  Two two(0);
  two.one.close();
  EXPECT_TRUE(two.run([&] { return two.one.quiet() && two.zero.quiet(); }));
}

}  // namespace
}  // namespace argosy::engine
