// The session over real MPI: hosts and nodes, exchange, agreement, gather, messages, shared memory; and whole transfers
// over every route, with the memory source and sink of the unit tests.
#include "mpi/session.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <memory>
#include <optional>
#include <random>
#include <string>

#include "../unit/memory_fabric.h"
#include "core/chunk.h"
#include "core/node_route.h"
#include "engine/transfer.h"

namespace argosy {
namespace {

constexpr std::int64_t kChunk = base::kLeafSize;
constexpr std::size_t kSlot =
    (64 + static_cast<std::size_t>(kChunk) + core::kRecordsAChunk * core::kRecordBytes + 4095) / 4096 * 4096;
constexpr std::size_t kSlots = 9;  // three for reading and three a lane

// MPI starts once a process, and so does the session. Its end is MPI_Finalize's.
mpi::Session& session() {
  static auto* const kSession = new mpi::Session();
  return *kSession;
}

std::span<std::byte> memory() {
  static const std::span<std::byte> kMemory = session().allocate_pool(kSlots * kSlot);
  return kMemory;
}

bool ranks_are_nodes() { return std::getenv("ARGOSY_RANKS_A_NODE") != nullptr; }

mpi::Verdict agree(const mpi::Verdict& mine) {
  mpi::Agreement agreement = session().agree(mine);
  while (!agreement.reached()) {
  }
  return agreement.verdict();
}

TEST(Session, KnowsRanksHostsAndNodes) {
  EXPECT_EQ(session().hosts().size(), static_cast<std::size_t>(session().size()));
  EXPECT_FALSE(session().host(session().rank()).empty());
  for (int rank = 0; rank < session().size(); ++rank) {
    EXPECT_EQ(session().node_of(rank), ranks_are_nodes() ? rank : 0);
  }
}

TEST(Session, ExchangesNumbersInRankOrder) {
  const auto all = session().exchange(session().rank() * 10);
  for (int rank = 0; rank < session().size(); ++rank) EXPECT_EQ(all[static_cast<std::size_t>(rank)], rank * 10);
}

TEST(Session, AgreesOnTheMostTellingFailureAndOnSums) {
  mpi::Verdict mine;
  mine.succeeded = 1;
  mine.bytes = std::int64_t{1} << 40;
  mine.files = session().rank();
  const int last = session().size() - 1;
  if (session().rank() == last) mine.failure = {base::Kind::kIntegrity, "p\n", last, "h", EIO, "wrong"};
  if (session().rank() == 0 && last != 0) mine.failure = {base::Kind::kSource, "q", 0, "h", ENOENT, "missing"};
  const mpi::Verdict all = agree(mine);
  EXPECT_EQ(all.failure.kind, base::Kind::kIntegrity);
  EXPECT_EQ(all.failure.rank, last);
  EXPECT_EQ(all.failure.path, "p\n");
  EXPECT_EQ(all.failure.error_number, EIO);
  EXPECT_EQ(all.succeeded, session().size());
  EXPECT_EQ(all.bytes, (std::int64_t{1} << 40) * session().size());
  EXPECT_EQ(all.files, last * (last + 1) / 2);
  EXPECT_EQ(all.interrupted, 0);
}

TEST(Session, AgreesThatNothingFailed) { EXPECT_EQ(agree({}).failure.kind, base::Kind::kNone); }

TEST(Session, GathersTextsOfAnyLength) {
  const std::string mine(static_cast<std::size_t>(session().rank()) * 1000, static_cast<char>('a' + session().rank()));
  const auto all = session().gather(mine, 20);
  EXPECT_EQ(all.empty(), session().rank() != 0);
  if (session().rank() != 0) return;
  ASSERT_EQ(all.size(), static_cast<std::size_t>(session().size()));
  for (std::size_t rank = 0; rank < all.size(); ++rank) {
    EXPECT_EQ(all[rank], std::string(rank * 1000, static_cast<char>('a' + rank)));
  }
}

TEST(Transport, KeepsTheOrderOfASenderAndTakesReceivesBack) {
  if (session().size() < 2) GTEST_SKIP() << "needs two ranks";
  core::Transport& transport = session().transport();
  constexpr int kMessages = 50;
  int done = 0;
  if (session().rank() == 0) {
    std::vector<std::vector<std::byte>> messages(kMessages, std::vector<std::byte>(100'000));
    for (int i = 0; i < kMessages; ++i) {
      messages[static_cast<std::size_t>(i)][0] = static_cast<std::byte>(i);
      transport.send(1, core::Tag::kChunk, messages[static_cast<std::size_t>(i)], [&done] { ++done; });
    }
    while (done < kMessages) transport.poll();
  } else if (session().rank() == 1) {
    std::vector<std::byte> buffer(100'000);
    std::vector<std::byte> never(8);
    const auto ticket =
        transport.receive(0, core::Tag::kPage, never, [](int, std::size_t) { FAIL() << "it was taken back"; });
    for (int i = 0; i < kMessages; ++i) {
      bool came = false;
      transport.receive(0, core::Tag::kChunk, buffer, [&](int from, std::size_t bytes) {
        EXPECT_EQ(from, 0);
        EXPECT_EQ(bytes, 100'000U);
        EXPECT_EQ(buffer[0], static_cast<std::byte>(i));
        came = true;
      });
      while (!came) transport.poll();
    }
    transport.cancel(ticket);
  }
  agree({});
}

TEST(Transport, NeighboursSeeOneAnothersMemory) {
  const std::span<std::byte> own = memory();
  own[17] = static_cast<std::byte>(session().rank() + 1);
  agree({});
  for (int rank = 0; rank < session().size(); ++rank) {
    const auto seen = session().transport().memory_of(rank);
    if (ranks_are_nodes() || session().size() == 1) {
      EXPECT_TRUE(seen.empty());
    } else {
      ASSERT_EQ(seen.size(), own.size());
      EXPECT_EQ(seen[17], static_cast<std::byte>(rank + 1));
    }
  }
  agree({});
}

std::string noise(std::size_t bytes, unsigned seed) {
  std::mt19937 generator(seed);
  std::string text(bytes, '\0');
  for (char& c : text) c = static_cast<char>(generator());
  return text;
}

class Routes : public testing::TestWithParam<core::RouteKind> {};
INSTANTIATE_TEST_SUITE_P(All, Routes,
                         testing::Values(core::RouteKind::kChain, core::RouteKind::kTwoTree, core::RouteKind::kRing));

TEST_P(Routes, EveryRankGetsEveryFile) {
  std::vector<test::MemorySource::File> files;
  for (const std::int64_t size : {std::int64_t{0}, std::int64_t{1}, kChunk, 30 * kChunk + 5, kChunk - 1}) {
    files.push_back({"f" + std::to_string(files.size()), noise(static_cast<std::size_t>(size), 3)});
  }
  core::NodeRoute::Placement placement;
  for (int rank = 0; rank < session().size(); ++rank) placement.leader_of.push_back(session().node_of(rank));
  placement.copies_for_all = true;
  placement.root = session().size() - 1;
  const core::NodeRoute route(GetParam(), placement);
  const int me = session().rank();
  const bool reads = me == route.root() || (route.origins() > 1 && route.leads(me));
  test::MemorySource source(files);
  test::MemorySink sink;
  engine::Pools pools{engine::Pool(memory().first(3 * kSlot), kSlot), {}};
  for (int lane = 0; lane < route.lanes(); ++lane) {
    pools.lanes.emplace_back(memory().subspan(static_cast<std::size_t>(3 + 3 * lane) * kSlot, 3 * kSlot), kSlot);
  }
  engine::Workers workers(1);  // the memory source and sink take one task at a time
  engine::Transfer::Settings settings;
  settings.origin.chunk_size = kChunk;
  settings.origin.ahead = 2;
  settings.relay.held_most = 1;
  engine::Transfer transfer(session().transport(), workers, pools, route, reads ? &source : nullptr, &sink, settings);
  std::optional<mpi::Agreement> agreement;
  while (!agreement || !agreement->reached()) {
    session().transport().poll();
    workers.drain();
    transfer.step();
    if (!agreement && transfer.done()) agreement = session().agree({});
    workers.wait(std::chrono::microseconds(20));
  }
  EXPECT_TRUE(transfer.failures().empty());
  ASSERT_EQ(sink.visible.size(), files.size());
  for (const auto& file : files) EXPECT_TRUE(sink.visible[file.name] == file.content) << file.name;
}

}  // namespace
}  // namespace argosy
