#include "base/watchdog.h"

#include <gtest/gtest.h>

#include <chrono>
#include <thread>

namespace argosy::base {
namespace {

using std::chrono::milliseconds;

TEST(WatchdogDeathTest, EndsAProcessWhoseMainThreadHangs) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(
      {
        Watchdog watchdog(0.3, "rank 3 on h4");
        watchdog.beat();
        std::this_thread::sleep_for(std::chrono::seconds(20));
      },
      testing::ExitedWithCode(6), "argosy: a call into MPI has not come back for 0 s \\(rank 3 on h4\\)");
}

TEST(Watchdog, LetsAThreadThatTurnsLive) {
  Watchdog watchdog(0.5, "rank 0 on h1");
  const auto end = std::chrono::steady_clock::now() + milliseconds(1500);
  while (std::chrono::steady_clock::now() < end) {
    watchdog.beat();
    std::this_thread::yield();
  }
  SUCCEED();
}

TEST(Watchdog, WithoutALimitWatchesNothing) {
  Watchdog watchdog(0, "rank 0 on h1");
  std::this_thread::sleep_for(milliseconds(400));
  SUCCEED();
}

}  // namespace
}  // namespace argosy::base
