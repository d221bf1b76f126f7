// Chain, two trees and ring at every number of ranks up to 512 and some up to 4096, from any root: every rank gets
// every chunk once, in an order that its sender keeps, and nothing goes round in circles.
#include "core/route.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <map>
#include <numeric>
#include <set>
#include <utility>

#include "core/chain.h"
#include "core/node_route.h"
#include "core/ring.h"
#include "core/two_tree.h"

namespace argosy::core {
namespace {

constexpr int kEveryUpTo = 512;
constexpr int kSome[] = {513, 777, 1000, 1023, 1024, 1025, 2047, 2048, 3001, 3003, 4094, 4095, 4096};

std::vector<int> sizes() {
  std::vector<int> all(kEveryUpTo);
  std::iota(all.begin(), all.end(), 1);
  all.insert(all.end(), std::begin(kSome), std::end(kSome));
  return all;
}

std::vector<int> roots_of(int ranks) {
  return ranks > 128 ? std::vector{ranks - 1 - ranks / 3}
         : ranks > 1 ? std::vector{0, ranks - 1 - ranks / 3}
                     : std::vector{0};
}

std::size_t at(int number) { return static_cast<std::size_t>(number); }

// Where each chunk that is handed to a rank comes from, and how many were handed to it before it on its lane.
struct Taken {
  int from = kNobody;
  std::uint64_t nth = 0;
};

// What a rank is handed, up to `length` chunks, checked: each chunk once, on its own lane, and all but those that
// start here.
std::map<std::uint64_t, Taken> taken_by(const Route& route, int rank, std::uint64_t length) {
  std::map<std::uint64_t, Taken> taken;
  for (int lane = 0; lane < route.lanes(); ++lane) {
    for (std::uint64_t nth = 0; nth < length; ++nth) {
      const auto hop = route.incoming(rank, lane, nth);
      if (!hop || hop->chunk >= length) break;
      EXPECT_EQ(route.lane(hop->chunk), lane);
      EXPECT_NE(route.origin(hop->chunk), rank);
      EXPECT_TRUE(taken.emplace(hop->chunk, Taken{hop->from, nth}).second) << "chunk " << hop->chunk << " twice";
    }
  }
  std::uint64_t own = 0;
  for (std::uint64_t chunk = 0; chunk < length; ++chunk) own += route.origin(chunk) == rank ? 1U : 0U;
  EXPECT_EQ(taken.size() + own, length) << "rank " << rank;
  return taken;
}

// Follows each chunk from its origin: it comes to every rank once, from the sender that the rank expects. Senders
// keep the order: what one hands to another on a lane comes in the order in which it took it.
void check(const Route& route, int ranks, std::uint64_t chunks) {
  const std::uint64_t length = route.stream_length(chunks - 1);
  std::vector<std::map<std::uint64_t, Taken>> taken;
  for (int rank = 0; rank < ranks; ++rank) taken.push_back(taken_by(route, rank, length));
  for (std::uint64_t chunk = 0; chunk < length; ++chunk) {
    std::vector<int> reached = {route.origin(chunk)};
    for (std::size_t i = 0; i < reached.size() && reached.size() <= at(ranks); ++i) {
      const int from = reached[i];
      for (const int to : route.to(from, chunk)) {
        const auto expected = taken[at(to)].find(chunk);
        ASSERT_NE(expected, taken[at(to)].end()) << to << " does not expect chunk " << chunk;
        ASSERT_EQ(expected->second.from, from);
        reached.push_back(to);
      }
    }
    ASSERT_EQ(reached.size(), at(ranks)) << "chunk " << chunk;
    ASSERT_EQ(std::set<int>(reached.begin(), reached.end()).size(), at(ranks)) << "chunk " << chunk << " twice";
  }
  for (int rank = 0; rank < ranks; ++rank) {
    std::map<std::pair<int, int>, std::map<std::uint64_t, std::uint64_t>> order;  // sender and lane: mine to its
    for (const auto& [chunk, mine] : taken[at(rank)]) {
      const auto senders = taken[at(mine.from)].find(chunk);
      if (senders == taken[at(mine.from)].end()) continue;  // it starts there
      order[{mine.from, route.lane(chunk)}][mine.nth] = senders->second.nth;
    }
    for (const auto& [link, positions] : order) {
      EXPECT_TRUE(std::is_sorted(positions.begin(), positions.end(),
                                 [](const auto& one, const auto& other) { return one.second < other.second; }));
    }
  }
}

// Small messages: one tree below the root, at most `degree` wide; its depth.
int check_control_tree(const Route& route, int ranks, std::size_t degree) {
  std::vector<int> reached = {route.root()};
  std::vector<int> depth(at(ranks));
  EXPECT_EQ(route.parent(route.root()), kNobody);
  for (std::size_t i = 0; i < reached.size() && reached.size() <= at(ranks); ++i) {
    const std::vector<int> children = route.children(reached[i]);
    EXPECT_LE(children.size(), degree);
    for (const int child : children) {
      EXPECT_EQ(route.parent(child), reached[i]);
      depth[at(child)] = depth[at(reached[i])] + 1;
      reached.push_back(child);
    }
  }
  EXPECT_EQ(std::set<int>(reached.begin(), reached.end()).size(), at(ranks));
  EXPECT_EQ(reached.size(), at(ranks));
  return *std::max_element(depth.begin(), depth.end());
}

int levels(int ranks) { return static_cast<int>(std::bit_width(static_cast<unsigned>(ranks - 1))); }

TEST(Chain, HandsEveryChunkToEveryRankOnce) {
  for (const int ranks : sizes()) {
    for (const int root : roots_of(ranks)) {
      SCOPED_TRACE(testing::Message() << ranks << " ranks, root " << root);
      const Chain chain(ranks, root, true);
      check(chain, ranks, 3);
      EXPECT_EQ(check_control_tree(chain, ranks, 1), ranks - 1);
      if (HasFailure()) return;
    }
  }
}

TEST(TwoTree, HandsEveryChunkToEveryRankOnce) {
  for (const int ranks : sizes()) {
    for (const int root : roots_of(ranks)) {
      SCOPED_TRACE(testing::Message() << ranks << " ranks, root " << root);
      const TwoTree trees(ranks, root, true);
      check(trees, ranks, 5);
      EXPECT_LE(check_control_tree(trees, ranks, 2), levels(ranks));
      if (HasFailure()) return;
    }
  }
}

TEST(TwoTree, EachRankIsInnerInOneTreeAndNoTreeIsDeep) {
  for (const int ranks : sizes()) {
    SCOPED_TRACE(testing::Message() << ranks << " ranks");
    const TwoTree trees(ranks, 0, true);
    for (int rank = 0; rank < ranks; ++rank) {
      const std::size_t first = trees.to(rank, 0).size();
      const std::size_t second = trees.to(rank, 1).size();
      if (rank == 0) {
        ASSERT_EQ(first, ranks > 1 ? 1U : 0U);
        ASSERT_EQ(second, first);
      } else {
        ASSERT_LE(std::max(first, second), 2U);
        ASSERT_EQ(std::min(first, second), 0U);
      }
      for (const int lane : {0, 1}) {
        int depth = 0;
        for (auto hop = trees.incoming(rank, lane, 0); hop; hop = trees.incoming(hop->from, lane, 0)) ++depth;
        ASSERT_LE(depth, levels(ranks));
      }
    }
  }
}

TEST(Ring, HandsEveryChunkToEveryRankOnce) {
  for (int ranks = 1; ranks <= 48; ++ranks) {
    for (const int root : roots_of(ranks)) {
      SCOPED_TRACE(testing::Message() << ranks << " ranks, root " << root);
      const Ring ring(ranks, root, true);
      check(ring, ranks, static_cast<std::uint64_t>(ranks) + 1);  // two rounds, the second begun
      EXPECT_LE(check_control_tree(ring, ranks, 2), levels(ranks + 1));
      if (HasFailure()) return;
    }
  }
}

// What a round brings to a rank, and the rank's own chunk, are the whole round.
bool round_is_whole(const Ring& ring, int ranks, int rank, std::uint64_t round) {
  const auto size = static_cast<std::uint64_t>(ranks);
  std::vector<char> seen(size);
  for (std::uint64_t nth = round * (size - 1); nth < (round + 1) * (size - 1); ++nth) {
    const auto hop = ring.incoming(rank, 0, nth);
    if (!hop || hop->from != (rank + ranks - 1) % ranks || hop->chunk / size != round) return false;
    if (std::exchange(seen[hop->chunk % size], 1) != 0) return false;
  }
  const auto own = static_cast<std::uint64_t>(std::find(seen.begin(), seen.end(), 0) - seen.begin());
  return ring.origin(round * size + own) == rank;
}

TEST(Ring, EachRankIsHandedEachRoundOnceByItsPredecessor) {
  for (const int ranks : sizes()) {
    const Ring ring(ranks, roots_of(ranks).back(), true);
    for (int rank = 0; rank<ranks; rank += ranks> kEveryUpTo ? 511 : 1) {
      ASSERT_TRUE(round_is_whole(ring, ranks, rank, 1)) << "rank " << rank << " of " << ranks;
    }
  }
}

TEST(Ring, EachRankHandsOnWhatItTookBefore) {
  for (const int ranks : {2, 3, 64, 511, 512, 4096}) {
    const int root = roots_of(ranks).back();
    const Ring ring(ranks, root, true);
    const auto round = static_cast<std::uint64_t>(ranks - 1);
    for (const int rank : {0, 1, root, ranks - 1}) {
      for (std::uint64_t nth = round; nth < 2 * round; ++nth) {
        const auto hop = ring.incoming(rank, 0, nth);
        ASSERT_EQ(ring.to(hop->from, hop->chunk), std::vector{rank});
        if (nth > round) ASSERT_EQ(ring.incoming(hop->from, 0, nth - 1)->chunk, hop->chunk);
      }
      ASSERT_TRUE(ring.to(rank, ring.incoming(rank, 0, round - 1)->chunk).empty());  // back where it came from
    }
  }
}

TEST(Ring, ComesInWholeRounds) {
  const Ring ring(5, 2, true);
  EXPECT_EQ(ring.stream_length(0), 5U);
  EXPECT_EQ(ring.stream_length(4), 5U);
  EXPECT_EQ(ring.stream_length(5), 10U);
  EXPECT_EQ(ring.origin(0), 2);
  EXPECT_EQ(ring.origin(7), 4);
  EXPECT_EQ(ring.origin(9), 1);
}

TEST(Ring, HoldsItsOwnChunkOfEachRoundFirst) {
  const Ring ring(4, 1, true);
  std::vector<std::uint64_t> held;
  for (std::uint64_t nth = 0; nth < 8; ++nth) held.push_back(ring.held(3, nth));  // at position 2
  EXPECT_EQ(held, (std::vector<std::uint64_t>{2, 1, 0, 3, 6, 5, 4, 7}));
}

TEST(Routes, TheRootIsADestinationWhenItIsToldSo) {
  for (const RouteKind kind : {RouteKind::kChain, RouteKind::kTwoTree, RouteKind::kRing}) {
    for (const bool root_takes : {false, true}) {
      const auto route = make_route(kind, 6, 4, root_takes);
      EXPECT_EQ(route->root(), 4);
      for (int rank = 0; rank < 6; ++rank) EXPECT_EQ(route->is_destination(rank), rank != 4 || root_takes);
    }
  }
}

}  // namespace
}  // namespace argosy::core
