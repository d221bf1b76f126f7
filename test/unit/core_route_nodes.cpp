// Routes over nodes with several ranks each: leaders relay, and with a copy for every rank each leader serves its
// node.
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "core/node_route.h"

namespace argosy::core {
namespace {

constexpr RouteKind kKinds[] = {RouteKind::kChain, RouteKind::kTwoTree, RouteKind::kRing};

// Follows `chunks` chunks from their origins. Every rank in `members` gets each once, as `incoming` says, in order;
// no other rank has any part.
void check(const NodeRoute& route, int ranks, const std::set<int>& members, std::uint64_t chunks) {
  const std::uint64_t length = route.stream_length(chunks - 1);
  std::map<int, std::map<std::uint64_t, int>> from;
  for (std::uint64_t chunk = 0; chunk < length; ++chunk) {
    std::vector<int> reached = {route.origin(chunk)};
    for (std::size_t i = 0; i < reached.size() && reached.size() <= members.size(); ++i) {
      for (const int to : route.to(reached[i], chunk)) {
        reached.push_back(to);
        from[to][chunk] = reached[i];
      }
    }
    ASSERT_EQ(reached.size(), members.size());
    ASSERT_EQ(std::set<int>(reached.begin(), reached.end()), members);
  }
  for (int rank = 0; rank < ranks; ++rank) {
    std::map<std::uint64_t, int> expected;
    for (int lane = 0; lane < route.lanes(); ++lane) {
      for (std::uint64_t nth = 0; nth < length; ++nth) {
        const auto hop = route.incoming(rank, lane, nth);
        if (!hop || hop->chunk >= length) break;
        EXPECT_EQ(route.lane(hop->chunk), lane);
        EXPECT_TRUE(expected.emplace(hop->chunk, hop->from).second);
      }
    }
    EXPECT_EQ(expected, from[rank]) << "rank " << rank;
    EXPECT_EQ(route.incoming(rank, 0, 0).has_value(), !from[rank].empty());
  }
  std::vector<int> reached = {route.root()};
  for (std::size_t i = 0; i < reached.size() && reached.size() <= members.size(); ++i) {
    for (const int child : route.children(reached[i])) {
      EXPECT_EQ(route.parent(child), reached[i]);
      reached.push_back(child);
    }
  }
  EXPECT_EQ(std::set<int>(reached.begin(), reached.end()), members);
  EXPECT_EQ(reached.size(), members.size());
  for (int rank = 0; rank < ranks; ++rank) {
    if (members.count(rank) == 0 || rank == route.root()) EXPECT_EQ(route.parent(rank), kNobody);
    if (members.count(rank) == 0) EXPECT_TRUE(route.children(rank).empty());
  }
}

// Ranks 0 to 9 on nodes {0, 3}, {1}, {2, 4, 5, 9}, {6, 7, 8}.
const std::vector<int> kUneven = {0, 1, 2, 0, 2, 2, 6, 6, 6, 2};

TEST(NodeRoute, LeadersPlayTheRoute) {
  for (const RouteKind kind : kKinds) {
    SCOPED_TRACE(name_of(kind));
    const NodeRoute route(kind, {.leader_of = kUneven, .root = 6});
    EXPECT_EQ(route.nodes(), 4);
    EXPECT_EQ(route.root(), 6);
    check(route, 10, {0, 1, 2, 6}, 9);
    for (int rank = 0; rank < 10; ++rank) EXPECT_EQ(route.is_destination(rank), route.leads(rank));
  }
}

TEST(NodeRoute, EveryRankGetsACopyThroughItsLeader) {
  for (const RouteKind kind : kKinds) {
    for (int root = 0; root < 10; ++root) {
      SCOPED_TRACE(testing::Message() << name_of(kind) << ", root " << root);
      const NodeRoute route(kind, {.leader_of = kUneven, .root = root, .copies_for_all = true});
      check(route, 10, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, 9);
      for (int rank = 0; rank < 10; ++rank) EXPECT_TRUE(route.is_destination(rank));
    }
  }
}

TEST(NodeRoute, TheNetworkComesBeforeTheNode) {
  const NodeRoute route(RouteKind::kChain, {.leader_of = kUneven, .root = 1, .copies_for_all = true});
  EXPECT_EQ(route.to(1, 0), std::vector{2});
  EXPECT_EQ(route.to(2, 0), (std::vector{6, 4, 5, 9}));
  EXPECT_EQ(route.to(0, 0), std::vector{3});  // the last node
}

TEST(NodeRoute, TheRootLeadsItsNodeWhateverItsRank) {
  for (const RouteKind kind : kKinds) {
    SCOPED_TRACE(name_of(kind));
    const NodeRoute route(kind, {.leader_of = kUneven, .root = 5});
    EXPECT_EQ(route.root(), 5);
    EXPECT_TRUE(route.leads(5));
    EXPECT_FALSE(route.leads(2));
    check(route, 10, {0, 1, 5, 6}, 9);
  }
  // It keeps its node's place in the order.
  const NodeRoute chain(RouteKind::kChain, {.leader_of = kUneven, .root = 5});
  EXPECT_EQ(chain.to(5, 0), std::vector{6});
  EXPECT_EQ(chain.to(6, 0), std::vector{0});
}

TEST(NodeRoute, ARootThatIsOnlySourceStillServesItsNode) {
  const NodeRoute route(RouteKind::kTwoTree,
                        {.leader_of = kUneven, .root = 4, .root_takes = false, .copies_for_all = true});
  for (int rank = 0; rank < 10; ++rank) EXPECT_EQ(route.is_destination(rank), rank != 4);
  EXPECT_EQ(route.incoming(9, 1, 3), (Hop{4, 7}));
}

TEST(NodeRoute, WhoeverDoesNotWriteStillHandsOn) {
  std::vector<bool> writes(10, true);
  writes[2] = false;
  writes[5] = false;
  for (const RouteKind kind : kKinds) {
    SCOPED_TRACE(name_of(kind));
    const NodeRoute route(kind, {.leader_of = kUneven, .root = 0, .copies_for_all = true, .writes = writes});
    check(route, 10, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, 9);
    for (int rank = 0; rank < 10; ++rank) EXPECT_EQ(route.is_destination(rank), rank != 2 && rank != 5);
    EXPECT_EQ(route.origins(), kind == RouteKind::kRing ? 4 : 1);
  }
}

TEST(NodeRoute, OneNode) {
  for (const RouteKind kind : kKinds) {
    SCOPED_TRACE(name_of(kind));
    const NodeRoute alone(kind, {.leader_of = {0, 0, 0}, .root = 1});
    check(alone, 3, {1}, 4);
    const NodeRoute copies(kind, {.leader_of = {0, 0, 0}, .root = 1, .copies_for_all = true});
    check(copies, 3, {0, 1, 2}, 4);
  }
}

}  // namespace
}  // namespace argosy::core
