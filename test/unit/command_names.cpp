// Names on their way to rank 0.
#include "command/names_to_rank_zero.h"

#include <gtest/gtest.h>

#include <climits>
#include <string>
#include <vector>

#include "core/manifest.h"
#include "memory_fabric.h"

namespace argosy {
namespace {

TEST(NamesToRankZero, TakeAPathAsLongAsAManifestHasBehindADestinationAsLongAsTheKernelTakes) {
  test::Fabric fabric(2);
  std::vector<std::string> shown;
  const auto show = [&](const std::string& name) { shown.push_back(name); };
  command::NamesToRankZero there(fabric[1], 1, show);
  command::NamesToRankZero here(fabric[0], 1, show);
  const std::string longest(PATH_MAX + core::kLongestPath + 2, 'x');
  const std::vector<std::string> names = {"a", longest, longest, "b"};
  for (const std::string& name : names) there.add(name);
  there.end();
  here.end();
  for (int i = 0; i < 20; ++i) {
    fabric[0].poll();
    fabric[1].poll();
  }
  EXPECT_TRUE(there.done());
  EXPECT_TRUE(here.done());
  EXPECT_EQ(shown, names);
}

}  // namespace
}  // namespace argosy
