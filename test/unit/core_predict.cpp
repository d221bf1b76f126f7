// Predicted times against a simulated clock, and what is chosen by them.
#include "core/predict.h"

#include <gtest/gtest.h>

#include <utility>

#include "base/digest.h"
#include "simulate/cluster.h"

namespace argosy::core {
namespace {

constexpr RouteKind kKinds[] = {RouteKind::kChain, RouteKind::kTwoTree, RouteKind::kRing};
constexpr std::int64_t kMiB = 1 << 20;
constexpr std::int64_t kTenGB = 10'000'000'000;
constexpr Link kHundredGbits{50e-6, 1 / 12.5e9};

double simulated(RouteKind kind, int nodes, std::int64_t bytes, std::int64_t chunk, const Link& link) {
  simulate::Cluster cluster;
  cluster.nodes = nodes;
  cluster.alpha_seconds = link.alpha_seconds;
  cluster.bytes_per_second = 1 / link.beta_seconds_per_byte;
  cluster.in_flight = link.in_flight;
  return simulate::simulate(*make_route(kind, nodes, 0, true), cluster, bytes, chunk).seconds;
}

TEST(Predict, AgreesWithTheSimulatedClock) {
  constexpr std::int64_t kBytes = 200 * kMiB + 12345;  // the last chunk is a short one
  for (const RouteKind kind : kKinds) {
    for (const int nodes : {2, 3, 4, 5, 8, 13, 31, 64, 100}) {
      for (const double alpha : {0.0, 20e-6, 1e-3}) {
        for (const int in_flight : {1, 2}) {
          const Link link{alpha, 1e-9, in_flight};
          const double predicted = predicted_seconds(kind, nodes, kBytes, kMiB, link);
          const double actual = simulated(kind, nodes, kBytes, kMiB, link);
          SCOPED_TRACE(testing::Message() << name_of(kind) << ", " << nodes << " nodes, alpha " << alpha << ", "
                                          << in_flight << " in flight");
          // Between two nodes all routes are one link, which hides more of alpha than two trees or a ring are thought
          // to.
          const bool one_link = nodes == 2 && in_flight == 2 && kind != RouteKind::kChain;
          EXPECT_LE(actual, 1.01 * predicted);
          EXPECT_GE(actual, (one_link ? 0.6 : 0.99) * predicted);
        }
      }
    }
  }
}

TEST(Predict, AChainOfTwoIsTheBound) {
  EXPECT_DOUBLE_EQ(predicted_seconds(RouteKind::kChain, 2, kTenGB, kMiB, kHundredGbits),
                   lower_bound_seconds(2, kTenGB, kMiB, kHundredGbits));
}

TEST(Predict, NothingBeatsTheBoundButARing) {
  const double wire = (1 - 1e-9) * kTenGB * kHundredGbits.beta_seconds_per_byte;
  for (int nodes = 2; nodes <= 4096; nodes += 3) {
    for (const std::int64_t chunk : {kMiB / 4, kMiB, 16 * kMiB}) {
      const double bound = (1 - 1e-9) * lower_bound_seconds(nodes, kTenGB, chunk, kHundredGbits);
      ASSERT_GE(bound, wire);
      ASSERT_GE(predicted_seconds(RouteKind::kChain, nodes, kTenGB, chunk, kHundredGbits), bound);
      ASSERT_GE(predicted_seconds(RouteKind::kTwoTree, nodes, kTenGB, chunk, kHundredGbits), bound);
      ASSERT_GE(predicted_seconds(RouteKind::kRing, nodes, kTenGB, chunk, kHundredGbits), wire * (nodes - 1) / nodes);
    }
  }
}

TEST(Predict, OneNodeNoBytesOneChunk) {
  EXPECT_EQ(lower_bound_seconds(1, kTenGB, kMiB, kHundredGbits), 0);
  for (const RouteKind kind : kKinds) {
    EXPECT_EQ(predicted_seconds(kind, 1, kTenGB, kMiB, kHundredGbits), 0);
    EXPECT_EQ(best_chunk(kind, 3, 0, kHundredGbits, 16 * kMiB), base::kLeafSize);
    // An empty stream is one empty message; a ring starts one at each node.
    EXPECT_NEAR(predicted_seconds(kind, 3, 0, kMiB, kHundredGbits), simulated(kind, 3, 0, kMiB, kHundredGbits), 51e-6);
    EXPECT_NEAR(predicted_seconds(kind, 5, 1000, kMiB, kHundredGbits), simulated(kind, 5, 1000, kMiB, kHundredGbits),
                51e-6);
  }
}

TEST(Predict, TheBestChunkIsBetterThanItsNeighbours) {
  for (const RouteKind kind : kKinds) {
    for (const int nodes : {2, 7, 64, 1000}) {
      const std::int64_t best = best_chunk(kind, nodes, kTenGB, kHundredGbits, 16 * kMiB);
      EXPECT_EQ(best % base::kLeafSize, 0);
      EXPECT_LE(best, 16 * kMiB);
      const double seconds = predicted_seconds(kind, nodes, kTenGB, best, kHundredGbits);
      for (std::int64_t chunk = base::kLeafSize; chunk <= 16 * kMiB; chunk += base::kLeafSize) {
        EXPECT_LE(seconds, predicted_seconds(kind, nodes, kTenGB, chunk, kHundredGbits));
      }
    }
  }
  EXPECT_EQ(best_chunk(RouteKind::kChain, 8, kTenGB, kHundredGbits, 100), base::kLeafSize);
}

// At 8 nodes 136 MiB are 17 MiB each: five rounds, which 3.5 MiB fill better than 4 MiB.
TEST(Predict, ARingTakesWholeRounds) {
  EXPECT_EQ(best_chunk(RouteKind::kRing, 8, 512 * kMiB, kHundredGbits, 4 * kMiB), 4 * kMiB);
  EXPECT_EQ(best_chunk(RouteKind::kRing, 8, 136 * kMiB, kHundredGbits, 4 * kMiB), 7 * kMiB / 2);
}

TEST(Choose, AChainForFewAndTreesForMany) {
  EXPECT_EQ(choose(2, kTenGB, kHundredGbits, 16 * kMiB, false).route, RouteKind::kChain);
  EXPECT_EQ(choose(8, kTenGB, kHundredGbits, 16 * kMiB, false).route, RouteKind::kChain);
  EXPECT_EQ(choose(128, kTenGB, kHundredGbits, 16 * kMiB, false).route, RouteKind::kTwoTree);
  EXPECT_EQ(choose(4096, kTenGB, kHundredGbits, 16 * kMiB, false).route, RouteKind::kTwoTree);
  EXPECT_EQ(choose(1, kTenGB, kHundredGbits, 16 * kMiB, true).route, RouteKind::kChain);
}

TEST(Choose, ARingOnlyWhereAllSeeTheSource) {
  EXPECT_EQ(choose(8, kTenGB, kHundredGbits, 16 * kMiB, true).route, RouteKind::kRing);
  EXPECT_EQ(choose(4096, kTenGB, kHundredGbits, 16 * kMiB, true).route, RouteKind::kTwoTree);
  EXPECT_NE(choose(8, kTenGB, kHundredGbits, 16 * kMiB, false).route, RouteKind::kRing);
}

// The mark that argosy sets itself: ten per cent over the time that one card needs to send the file once. With every
// alpha paid in full that takes chunks of 16 MiB; with two messages in flight, as argosy runs, its default memory is
// enough.
TEST(Choose, StaysWithinTenPerCentOfTheWire) {
  const double wire = kTenGB * kHundredGbits.beta_seconds_per_byte;
  for (const auto& [in_flight, largest] : {std::pair(1, 16 * kMiB), std::pair(2, 4 * kMiB)}) {
    SCOPED_TRACE(testing::Message() << in_flight << " in flight");
    Link link = kHundredGbits;
    link.in_flight = in_flight;
    for (int nodes = 2; nodes <= 4096; nodes += nodes < 1000 ? 1 : 73) {
      const Choice choice = choose(nodes, kTenGB, link, largest, false);
      ASSERT_LE(choice.seconds, 1.1 * wire) << nodes;
      ASSERT_EQ(choice.seconds, predicted_seconds(choice.route, nodes, kTenGB, choice.chunk, link));
    }
    for (const int nodes : {16, in_flight == 1 ? 300 : 40}) {
      const Choice choice = choose(nodes, kTenGB, link, largest, false);
      EXPECT_LE(simulated(choice.route, nodes, kTenGB, choice.chunk, link), 1.1 * wire) << nodes;
    }
  }
}

}  // namespace
}  // namespace argosy::core
