// The routes under a simulated clock: they come to an end in the time that their headers promise, with few slots, one
// message out and one in at a time. A byte a chunk and a second a byte: seconds are steps.
#include <gtest/gtest.h>

#include <bit>
#include <stdexcept>

#include "core/node_route.h"
#include "simulate/cluster.h"

namespace argosy::core {
namespace {

using simulate::Cluster;
using simulate::Outcome;

int levels(int ranks) { return static_cast<int>(std::bit_width(static_cast<unsigned>(ranks - 1))); }

Cluster in_steps(int nodes) {
  Cluster cluster;
  cluster.nodes = nodes;
  cluster.alpha_seconds = 0;
  cluster.bytes_per_second = 1;
  cluster.slots = 2;
  return cluster;
}

Outcome run(RouteKind kind, const Cluster& cluster, int root, std::int64_t chunks) {
  const auto route = make_route(kind, cluster.nodes, root, true);
  Outcome outcome = simulate::simulate(*route, cluster, chunks, 1);
  EXPECT_LE(outcome.peak_sends, cluster.in_flight);
  EXPECT_LE(outcome.peak_receives, cluster.in_flight);
  return outcome;
}

TEST(ChainClock, FillsInAStepARank) {
  for (const int ranks : {2, 3, 4, 5, 8, 17, 64, 100, 512, 4096}) {
    SCOPED_TRACE(ranks);
    const Outcome outcome = run(RouteKind::kChain, in_steps(ranks), ranks / 2, 6);
    EXPECT_DOUBLE_EQ(outcome.seconds, 6 + ranks - 2);
    EXPECT_EQ(outcome.messages, 6U * static_cast<unsigned>(ranks - 1));
    EXPECT_LE(outcome.peak_slots, 2);
  }
}

// Every number of ranks: one whose trees got out of step would take half as long again.
TEST(TwoTreeClock, KeepsStepWithTwoSlotsALane) {
  for (int ranks = 2; ranks <= 512; ++ranks) {
    SCOPED_TRACE(ranks);
    const int chunks = levels(ranks) + 12;
    const Outcome outcome = run(RouteKind::kTwoTree, in_steps(ranks), ranks / 3, chunks);
    ASSERT_LE(outcome.seconds, chunks + 2 * (levels(ranks) - 1) + (ranks == 3 ? 1 : 0));
    ASSERT_GE(outcome.seconds, chunks + 2 * (levels(ranks) - 1) - 1);
    ASSERT_LE(outcome.peak_slots, 4);
  }
}

TEST(TwoTreeClock, KeepsStepAtManyRanks) {
  for (const int ranks : {1000, 2047, 3003, 4096}) {
    SCOPED_TRACE(ranks);
    const Outcome outcome = run(RouteKind::kTwoTree, in_steps(ranks), 0, 40);
    EXPECT_LE(outcome.seconds, 40 + 2 * (levels(ranks) - 1));
    EXPECT_LE(outcome.peak_slots, 4);
  }
}

// As argosy runs: two messages of a card at once, one to each child, which share its rate.
TEST(TwoTreeClock, TakesAsLongWhenCardsAreShared) {
  for (const int ranks : {3, 4, 7, 8, 15, 16, 33, 63, 100, 255, 512}) {
    SCOPED_TRACE(ranks);
    Cluster cluster = in_steps(ranks);
    cluster.in_flight = 2;
    EXPECT_LE(run(RouteKind::kTwoTree, cluster, 0, 60).seconds, 60 + 2 * (levels(ranks) - 1) + 1);
    cluster.alpha_seconds = 0.37;  // messages of the two trees no longer begin together
    EXPECT_LE(run(RouteKind::kTwoTree, cluster, 0, 60).seconds, 1.02 * (1 + 0.37 / 2) * (60 + 2 * (levels(ranks) - 1)));
  }
}

TEST(RingClock, NeedsNoTimeToFill) {
  for (const int ranks : {2, 3, 4, 5, 8, 17, 64, 100, 256}) {
    SCOPED_TRACE(ranks);
    Cluster cluster = in_steps(ranks);
    cluster.own_slots = 1;
    const Outcome outcome = run(RouteKind::kRing, cluster, ranks / 2, 2 * ranks);
    EXPECT_DOUBLE_EQ(outcome.seconds, 2 * (ranks - 1));
    EXPECT_LE(outcome.peak_slots, 3);
  }
}

TEST(RingClock, FillsUpItsLastRound) {
  const Outcome outcome = run(RouteKind::kRing, in_steps(7), 3, 7 + 1);
  EXPECT_DOUBLE_EQ(outcome.seconds, 2 * 6);  // the last chunk goes all the way round, the empty ones cost nothing
  EXPECT_EQ(outcome.messages, 2U * 7 * 6);
}

// The proof in core/ring.h: two slots for chunks in transit and one for its own always do, however unequal the cards.
TEST(RingClock, NeverStopsWithTwoSlots) {
  for (const int in_flight : {1, 2}) {
    for (int ranks = 2; ranks <= 20; ++ranks) {
      Cluster cluster = in_steps(ranks);
      cluster.in_flight = in_flight;
      cluster.own_slots = 1;
      cluster.slow_node = ranks / 2;
      cluster.slow_share = 0.3;
      EXPECT_NO_THROW(run(RouteKind::kRing, cluster, 0, 5 * ranks)) << ranks;
    }
  }
}

TEST(RingClock, StopsWithOne) {
  Cluster cluster = in_steps(5);
  cluster.slots = 1;
  cluster.own_slots = 1;
  EXPECT_THROW(simulate::simulate(*make_route(RouteKind::kRing, 5, 0, true), cluster, 10, 1), std::logic_error);
}

// A card at half its rate makes its node and those behind it late, and nothing worse than that.
TEST(Clock, ASlowCardCostsWhatItIsSlower) {
  for (const RouteKind kind : {RouteKind::kChain, RouteKind::kTwoTree}) {
    for (int slow = 0; slow < 8; ++slow) {
      Cluster cluster = in_steps(8);
      cluster.in_flight = 2;
      cluster.slots = 4;
      cluster.slow_node = slow;
      EXPECT_LE(run(kind, cluster, 0, 1000).seconds, 1.05 * 2 * 1000) << name_of(kind) << ", node " << slow;
    }
  }
}

// Messages that take up to a tenth longer or shorter: with two in flight and four slots a lane it hardly shows.
TEST(Clock, UnevenMessagesCostLittle) {
  for (const RouteKind kind : {RouteKind::kChain, RouteKind::kTwoTree}) {
    Cluster cluster = in_steps(64);
    cluster.in_flight = 2;
    cluster.slots = 4;
    const double even = run(kind, cluster, 0, 1000).seconds;
    cluster.jitter = 0.1;
    const double uneven = run(kind, cluster, 0, 1000).seconds;
    EXPECT_LT(uneven, 1.04 * even) << name_of(kind);
    EXPECT_NE(uneven, even);
  }
}

// Nodes in racks, in order: a chain crosses each uplink once and does not see that it has only one card's rate.
TEST(Clock, AChainCrossesEachUplinkOnce) {
  Cluster cluster = in_steps(64);
  cluster.rack_nodes = 8;
  cluster.oversubscription = 8;
  EXPECT_DOUBLE_EQ(run(RouteKind::kChain, cluster, 0, 100).seconds, 100 + 64 - 2);
  EXPECT_GT(run(RouteKind::kTwoTree, cluster, 0, 100).seconds, 1.4 * (100 + 64 - 2));
}

// A route that loses its way: the last rank is handed nothing.
class Broken final : public Route {
 public:
  int root() const override { return 0; }
  bool is_destination(int /*rank*/) const override { return true; }
  std::optional<Hop> incoming(int rank, int /*lane*/, std::uint64_t nth) const override {
    return rank == 0 ? std::nullopt : std::optional(Hop{rank - 1, nth});
  }
  std::vector<int> to(int rank, std::uint64_t /*chunk*/) const override {
    return rank == 0 ? std::vector{1} : std::vector<int>{};
  }
  int parent(int /*rank*/) const override { return kNobody; }
  std::vector<int> children(int /*rank*/) const override { return {}; }
};

TEST(Clock, SaysWhenARouteComesToAStop) {
  EXPECT_THROW(simulate::simulate(Broken(), in_steps(3), 4, 1), std::logic_error);
}

}  // namespace
}  // namespace argosy::core
