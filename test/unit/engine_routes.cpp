// Whole transfers over chain, two-tree and ring: any number of ranks, any root, the fewest slots allowed, any rank that
// fails.
#include <gtest/gtest.h>

#include <memory>
#include <random>
#include <string>

#include "core/chain.h"
#include "core/node_route.h"
#include "core/ring.h"
#include "core/two_tree.h"
#include "engine/transfer.h"
#include "memory_fabric.h"

namespace argosy {
namespace {

using test::Fabric;
using test::MemorySink;
using test::MemorySource;

constexpr std::int64_t kChunk = base::kLeafSize;
constexpr std::size_t kSlot = 64 + static_cast<std::size_t>(kChunk) + core::kRecordsAChunk * core::kRecordBytes;

std::string noise(std::size_t bytes, unsigned seed) {
  std::mt19937 generator(seed);
  std::string text(bytes, '\0');
  for (char& c : text) c = static_cast<char>(generator());
  return text;
}

std::unique_ptr<core::Route> make_route(const std::string& kind, int ranks, int root, bool root_takes) {
  if (kind == "chain") return std::make_unique<core::Chain>(ranks, root, root_takes);
  if (kind == "two-tree") return std::make_unique<core::TwoTree>(ranks, root, root_takes);
  return std::make_unique<core::Ring>(ranks, root, root_takes);
}

std::unique_ptr<core::Route> make_node_route(const std::string& kind, const std::vector<bool>& writes) {
  core::NodeRoute::Placement placement;
  for (int rank = 0; rank < static_cast<int>(writes.size()); ++rank) placement.leader_of.push_back(rank);
  placement.writes = writes;
  const auto which = kind == "chain"      ? core::RouteKind::kChain
                     : kind == "two-tree" ? core::RouteKind::kTwoTree
                                          : core::RouteKind::kRing;
  return std::make_unique<core::NodeRoute>(which, placement);
}

// All ranks of a transfer, stepped in a random order by one thread.
class World {
 public:
  World(const std::string& kind, int ranks, int root, bool root_takes, const std::vector<MemorySource::File>& files,
        std::size_t reading, std::size_t lane_slots)
      : World(make_route(kind, ranks, root, root_takes), ranks, files, reading, lane_slots) {}
  // A node a rank, of which some write.
  World(const std::string& kind, const std::vector<bool>& writes, const std::vector<MemorySource::File>& files,
        std::size_t reading, std::size_t lane_slots)
      : World(make_node_route(kind, writes), static_cast<int>(writes.size()), files, reading, lane_slots) {}
  World(std::unique_ptr<core::Route> route, int ranks, const std::vector<MemorySource::File>& files,
        std::size_t reading, std::size_t lane_slots)
      : fabric_(ranks), route_(std::move(route)) {
    const int root = route_->root();
    for (int rank = 0; rank < ranks; ++rank) {
      auto node = std::make_unique<Node>();
      const bool reads = rank == root || route_->origins() > 1;
      if (reads) node->source = std::make_unique<MemorySource>(files, 40);
      if (route_->is_destination(rank)) node->sink = std::make_unique<MemorySink>();
      node->memory.resize((reading + 2 * lane_slots) * kSlot);
      const std::span<std::byte> memory = node->memory;
      node->pools.reset(new engine::Pools{engine::Pool(memory.first(reads ? reading * kSlot : 0), kSlot), {}});
      for (int lane = 0; lane < route_->lanes(); ++lane) {
        const std::size_t start = reading + static_cast<std::size_t>(lane) * lane_slots;
        node->pools->lanes.emplace_back(memory.subspan(start * kSlot, lane_slots * kSlot), kSlot);
      }
      nodes.push_back(std::move(node));
    }
  }
  ~World() { fabric_.inbox.clear(); }
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  // False for a deadlock.
  bool run() {
    for (std::size_t rank = 0; rank < nodes.size(); ++rank) {
      engine::Transfer::Settings settings;
      settings.origin.chunk_size = kChunk;
      settings.origin.ahead = 3;
      Node& node = *nodes[rank];
      node.transfer.emplace(fabric_[static_cast<int>(rank)], node.workers, *node.pools, *route_, node.source.get(),
                            node.sink.get(), settings);
    }
    std::mt19937 random(11);
    std::vector<bool> was_done(nodes.size());
    for (int idle = 0; idle < 4;) {
      bool busy = false;
      bool done = true;
      for (std::size_t i = 0; i < nodes.size(); ++i) {
        const std::size_t rank = random() % nodes.size();
        for (const std::size_t r : {rank, i}) {
          busy = fabric_[static_cast<int>(r)].poll() > 0 || busy;
          busy = nodes[r]->workers.drain() > 0 || busy;
          busy = nodes[r]->transfer->step() || busy;
        }
      }
      for (std::size_t rank = 0; rank < nodes.size(); ++rank) {
        const bool rank_done = nodes[rank]->transfer->done();
        // A job ends once every rank has said that it is done: who has said so must have nothing to do any more.
        EXPECT_TRUE(rank_done || !was_done[rank]) << "rank " << rank << " had work after it was done";
        was_done[rank] = rank_done;
        done = done && rank_done;
      }
      if (done) return true;
      idle = busy ? 0 : idle + 1;
    }
    return false;
  }

  struct Node {
    std::unique_ptr<MemorySource> source;
    std::unique_ptr<MemorySink> sink;
    std::vector<std::byte> memory;
    engine::Workers workers{0};
    std::unique_ptr<engine::Pools> pools;
    std::optional<engine::Transfer> transfer;
  };

 private:
  Fabric fabric_;
  std::unique_ptr<core::Route> route_;

 public:
  std::vector<std::unique_ptr<Node>> nodes;
};

std::vector<MemorySource::File> some_files() {
  std::vector<MemorySource::File> files;
  unsigned seed = 0;
  for (const std::int64_t size : {std::int64_t{0}, std::int64_t{1}, 3 * kChunk, kChunk - 1, 5 * kChunk + 77, kChunk}) {
    files.push_back({"f" + std::to_string(seed), noise(static_cast<std::size_t>(size), seed)});
    ++seed;
  }
  for (int i = 0; i < 300; ++i) files.push_back({"s" + std::to_string(i), noise(static_cast<std::size_t>(i), 9)});
  return files;
}

class EngineRoutes : public testing::TestWithParam<const char*> {
 protected:
  std::string kind() const { return GetParam(); }
};
INSTANTIATE_TEST_SUITE_P(All, EngineRoutes, testing::Values("chain", "two-tree", "ring"));

TEST_P(EngineRoutes, EveryDestinationHasEveryFile) {
  const auto files = some_files();
  for (int ranks = 1; ranks <= 9; ++ranks) {
    for (const int root : {0, ranks - 1, ranks / 2}) {
      World world(kind(), ranks, root, root % 2 == 0, files, 1, 2);
      if (ranks == 1 && root % 2 != 0) continue;
      ASSERT_TRUE(world.run()) << ranks << " ranks, root " << root;
      std::int64_t read = 0;
      for (const auto& node : world.nodes) {
        EXPECT_TRUE(node->transfer->failures().empty());
        if (node->transfer->origin() != nullptr) read += node->transfer->origin()->counts().bytes_read;
        if (!node->sink) continue;
        ASSERT_EQ(node->sink->visible.size(), files.size());
        for (const auto& file : files) ASSERT_TRUE(node->sink->visible[file.name] == file.content) << file.name;
      }
      std::int64_t bytes = 0;
      for (const auto& file : files) bytes += static_cast<std::int64_t>(file.content.size());
      EXPECT_EQ(read, bytes) << "every byte is read once";
      for (const auto& node : world.nodes) {
        EXPECT_EQ(node->pools->reading.free(), node->pools->reading.slots());
        for (const auto& lane : node->pools->lanes) EXPECT_EQ(lane.free(), lane.slots());
      }
    }
  }
}

TEST_P(EngineRoutes, AFailedSinkIsReportedAndTheOthersGetAll) {
  const auto files = some_files();
  for (int ranks = 3; ranks <= 8; ++ranks) {
    for (int bad = 1; bad < ranks; ++bad) {
      World world(kind(), ranks, 0, true, files, 1, 2);
      world.nodes[static_cast<std::size_t>(bad)]->sink->fail_writes_from = kChunk;
      ASSERT_TRUE(world.run()) << ranks << " ranks, " << bad << " bad";
      for (int rank = 0; rank < ranks; ++rank) {
        const auto& node = *world.nodes[static_cast<std::size_t>(rank)];
        if (rank == bad) {
          EXPECT_EQ(node.transfer->failures().total(), 2);
          EXPECT_EQ(node.sink->visible.size(), files.size() - 2);
          EXPECT_TRUE(node.sink->hidden.empty());
        } else {
          EXPECT_TRUE(node.transfer->failures().empty());
          EXPECT_EQ(node.sink->visible.size(), files.size());
        }
      }
    }
  }
}

TEST_P(EngineRoutes, NodesThatHaveItStillRelay) {
  const auto files = some_files();
  World world(kind(), 6, 0, false, files, 2, 2);
  for (const int rank : {1, 3}) {
    for (const auto& file : files) world.nodes[static_cast<std::size_t>(rank)]->sink->in_place.insert(file.name);
  }
  ASSERT_TRUE(world.run());
  for (int rank = 1; rank < 6; ++rank) {
    const auto& node = *world.nodes[static_cast<std::size_t>(rank)];
    EXPECT_EQ(node.sink->visible.size(), rank == 1 || rank == 3 ? 0 : files.size());
    EXPECT_TRUE(node.transfer->failures().empty());
  }
}

// Ranks that write nothing (their folder is another's, or can't be made) hand on all the same.
TEST_P(EngineRoutes, RanksThatOnlyHandOn) {
  const auto files = some_files();
  for (const std::vector<bool>& writes : std::vector<std::vector<bool>>{{true, false, false, false},
                                                                        {false, false, false, true},
                                                                        {false, true, false, false},
                                                                        {true, false, true, false}}) {
    World world(kind(), writes, files, 1, 2);
    ASSERT_TRUE(world.run());
    for (std::size_t rank = 0; rank < writes.size(); ++rank) {
      const auto& sink = world.nodes[rank]->sink;
      ASSERT_EQ(sink != nullptr, writes[rank]);
      if (sink) EXPECT_EQ(sink->visible.size(), files.size());
    }
  }
}

TEST_P(EngineRoutes, AnUnreadableExtentFailsItsFileOnly) {
  const auto files = some_files();
  for (int bad = 0; bad < 5; ++bad) {
    World world(kind(), 5, 0, true, files, 1, 2);
    for (std::size_t rank = 0; rank < 5; ++rank) {
      auto& source = world.nodes[rank]->source;
      // In a ring only one of the origins can't read it.
      if (source && (static_cast<int>(rank) == bad || kind() != "ring")) source->fail_reads_from[4] = 0;
    }
    ASSERT_TRUE(world.run()) << bad;
    for (const auto& node : world.nodes) {
      EXPECT_EQ(node->sink->visible.count("f4"), 0U);
      EXPECT_EQ(node->sink->visible.size(), files.size() - 1);
      EXPECT_TRUE(node->sink->hidden.empty());
    }
  }
}

// More origins than a few pages of small files have chunks.
TEST_P(EngineRoutes, ManySmallFilesOverManyRanks) {
  std::vector<MemorySource::File> files;
  for (int i = 0; i < 9000; ++i) files.push_back({"f" + std::to_string(i), "x"});
  World world(kind(), 20, 0, true, files, 1, 2);
  for (const auto& node : world.nodes) {
    if (node->source) node->source->a_page = core::kEntriesAPage;
  }
  ASSERT_TRUE(world.run());
  for (const auto& node : world.nodes) EXPECT_EQ(node->sink->visible.size(), files.size());
}

TEST_P(EngineRoutes, AChangedSourceIsSeenNowhere) {
  World world(kind(), 4, 0, true, {{"a", noise(9 * kChunk, 1)}, {"b", noise(10, 2)}}, 2, 2);
  world.nodes[0]->source->changed = {0};
  ASSERT_TRUE(world.run());
  for (const auto& node : world.nodes) {
    EXPECT_EQ(node->sink->visible.size(), 1U);
    EXPECT_TRUE(node->sink->hidden.empty());
  }
}

}  // namespace
}  // namespace argosy
