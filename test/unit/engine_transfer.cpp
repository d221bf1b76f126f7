// The engine over in-memory Source, Sink and Transport: what arrives, what fails, what is never seen.
#include "engine/transfer.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

#include "core/chunk.h"
#include "memory_fabric.h"

namespace argosy {
namespace {

using test::Fabric;
using test::MemorySink;
using test::MemorySource;

constexpr std::int64_t kChunk = base::kLeafSize;

std::string noise(std::size_t bytes, unsigned seed = 1) {
  std::mt19937 generator(seed);
  std::string text(bytes, '\0');
  for (char& c : text) c = static_cast<char>(generator());
  return text;
}

// Two ranks that step in turn, until both are done or nothing moves any more.
struct Pair {
  Pair(MemorySource& source, core::Sink& sink, std::size_t slots, bool shared)
      : memory_a(slots * slot), memory_b(slots * slot), a_pools(reading(memory_a)), b_pools(receiving(memory_b)) {
    if (shared) fabric.shared = {{0, memory_a}, {1, memory_b}};
    engine::Transfer::Settings settings;
    settings.origin.chunk_size = kChunk;
    settings.origin.ahead = slots;
    a.emplace(fabric[0], workers_a, a_pools, route, &source, nullptr, settings);
    b.emplace(fabric[1], workers_b, b_pools, route, nullptr, &sink, settings);
  }
  // A transfer that was given up by an exception leaves messages under way; they hold slots.
  ~Pair() { fabric.inbox.clear(); }
  Pair(const Pair&) = delete;
  Pair& operator=(const Pair&) = delete;

  static engine::Pools reading(std::span<std::byte> memory) {
    return {engine::Pool(memory, slot), {engine::Pool({}, slot)}};
  }
  static engine::Pools receiving(std::span<std::byte> memory) {
    return {engine::Pool({}, slot), {engine::Pool(memory, slot)}};
  }
  bool turn() {
    bool busy = fabric[0].poll() > 0;
    busy = workers_a.drain() > 0 || busy;
    busy = a->step() || busy;
    busy = fabric[1].poll() > 0 || busy;
    busy = workers_b.drain() > 0 || busy;
    return b->step() || busy;
  }
  // False for a deadlock.
  bool run() {
    for (int idle = 0; idle < 3;) {
      if (a->done() && b->done()) return true;
      idle = turn() ? 0 : idle + 1;
    }
    return a->done() && b->done();
  }

  static constexpr std::size_t slot = 64 + static_cast<std::size_t>(kChunk) + core::kRecordsAChunk * core::kRecordBytes;
  Fabric fabric{2};
  core::Direct route{0, 1};
  engine::Workers workers_a{0};
  engine::Workers workers_b{0};
  std::vector<std::byte> memory_a, memory_b;
  engine::Pools a_pools, b_pools;
  engine::Pool& pool_a = a_pools.reading;
  engine::Pool& pool_b = b_pools.lanes[0];
  std::optional<engine::Transfer> a, b;
};

class EngineTransfer : public testing::TestWithParam<std::tuple<bool, std::size_t>> {
 protected:
  bool shared() const { return std::get<0>(GetParam()); }
  std::size_t slots() const { return std::get<1>(GetParam()); }
};

INSTANTIATE_TEST_SUITE_P(SharedAndSlots, EngineTransfer,
                         testing::Combine(testing::Bool(), testing::Values<std::size_t>(1, 2, 3, 8)));

TEST_P(EngineTransfer, MovesFilesOfEverySize) {
  std::vector<MemorySource::File> files;
  int number = 0;
  for (const std::int64_t size :
       {std::int64_t{0}, std::int64_t{1}, kChunk - 1, kChunk, kChunk + 1, 3 * kChunk, 7 * kChunk + 5}) {
    files.push_back(
        {"f" + std::to_string(number), noise(static_cast<std::size_t>(size), static_cast<unsigned>(number))});
    ++number;
  }
  MemorySource source(files);
  MemorySink sink;
  Pair pair(source, sink, slots(), shared());
  ASSERT_TRUE(pair.run());
  ASSERT_EQ(sink.visible.size(), files.size());
  std::int64_t bytes = 0;
  for (const auto& file : files) {
    EXPECT_TRUE(sink.visible[file.name] == file.content) << file.name;
    EXPECT_EQ(sink.digests[file.name], base::close_digest(base::digest_of(std::as_bytes(std::span(file.content)), 0),
                                                          static_cast<std::int64_t>(file.content.size())));
    bytes += static_cast<std::int64_t>(file.content.size());
  }
  EXPECT_EQ(pair.b->destination()->counts().bytes_written, bytes);
  EXPECT_EQ(pair.a->origin()->counts().bytes_read, bytes);
  EXPECT_EQ(pair.a->origin()->counts().bytes_delivered, bytes);
  EXPECT_EQ(source.closed.size(), files.size());
  EXPECT_TRUE(pair.a->failures().empty() && pair.b->failures().empty());
  EXPECT_EQ(pair.pool_a.free(), slots());
  EXPECT_EQ(pair.pool_b.free(), slots());
}

TEST_P(EngineTransfer, ManySmallFilesShareChunks) {
  std::vector<MemorySource::File> files;
  for (int i = 0; i < 5000; ++i) files.push_back({"d" + std::to_string(i), noise(static_cast<std::size_t>(i % 97), 5)});
  MemorySource source(files, 700);
  MemorySink sink;
  Pair pair(source, sink, slots(), shared());
  ASSERT_TRUE(pair.run());
  EXPECT_EQ(sink.visible.size(), files.size());
  for (const auto& file : files) ASSERT_TRUE(sink.visible[file.name] == file.content) << file.name;
  EXPECT_LT(pair.fabric.count[core::Tag::kChunk], 60);
}

TEST_P(EngineTransfer, OpenEndedSourceEndsAnywhere) {
  for (const std::size_t size : {std::size_t{0}, std::size_t{9}, std::size_t{kChunk}, std::size_t{3 * kChunk + 1}}) {
    MemorySource source({{"-", noise(size), false, true}});
    MemorySink sink;
    Pair pair(source, sink, slots(), shared());
    ASSERT_TRUE(pair.run()) << size;
    EXPECT_TRUE(sink.visible["-"] == noise(size)) << size;
  }
}

// Has, from an earlier run, the leaves of the first file that `left` names, with the bytes of `content`.
class HoldingSink final : public core::Sink {
 public:
  HoldingSink(MemorySink& sink, std::string content, std::vector<std::int64_t> left)
      : sink_(sink), content_(std::move(content)), left_(std::move(left)) {}

  std::vector<bool> examine(const core::Page& page) override { return sink_.examine(page); }
  core::Examination inspect(const core::Page& page) override {
    core::Examination found;
    found.wanted = examine(page);
    if (!left_.empty()) found.held.push_back({0, {}});
    for (const std::int64_t leaf : left_) {
      const core::Range range{leaf * kChunk, (leaf + 1) * kChunk};
      found.held[0].parts.push_back({range, held(0, range)});
      sink_.write(0, range.begin, bytes(range));
    }
    sink_.writes = 0;
    return found;
  }
  base::Digest held(std::uint64_t, core::Range range) override { return base::digest_of(bytes(range), range.begin); }
  void write(std::uint64_t entry, std::int64_t offset, std::span<const std::byte> data) override {
    sink_.write(entry, offset, data);
  }
  void commit(std::uint64_t entry, std::int64_t length, const base::Digest& digest) override {
    sink_.commit(entry, length, digest);
  }
  void discard(std::uint64_t entry) noexcept override { sink_.discard(entry); }
  void leave(std::uint64_t entry) noexcept override {
    left_behind = true;
    discard(entry);
  }

  bool left_behind = false;

 private:
  std::span<const std::byte> bytes(core::Range range) const {
    return std::as_bytes(std::span(content_))
        .subspan(static_cast<std::size_t>(range.begin), static_cast<std::size_t>(range.end - range.begin));
  }
  MemorySink& sink_;
  std::string content_;
  std::vector<std::int64_t> left_;
};

TEST_P(EngineTransfer, WhatIsHeldDoesNotTravel) {
  const std::string content = noise(8 * kChunk);
  MemorySource source({{"a", content}});
  MemorySink sink;
  HoldingSink holding(sink, content, {0, 1, 2, 5});
  Pair pair(source, holding, slots(), shared());
  ASSERT_TRUE(pair.run());
  EXPECT_TRUE(sink.visible["a"] == content);
  EXPECT_EQ(pair.b->destination()->counts().bytes_written, 4 * kChunk);
  // It is the digest of the whole all the same.
  const auto whole = base::close_digest(base::digest_of(std::as_bytes(std::span(content)), 0), 8 * kChunk);
  EXPECT_EQ(sink.digests["a"], whole);
  EXPECT_EQ(pair.a->origin()->counts().digest, whole);
}

TEST_P(EngineTransfer, WhatIsHeldOfAnotherFileTravels) {
  const std::string content = noise(8 * kChunk);
  std::string other = noise(8 * kChunk, 2);
  other.replace(kChunk, kChunk, content, kChunk, kChunk);
  MemorySource source({{"a", content}});
  MemorySink sink;
  HoldingSink holding(sink, other, {0, 1, 2, 5});
  Pair pair(source, holding, slots(), shared());
  ASSERT_TRUE(pair.run());
  EXPECT_TRUE(sink.visible["a"] == content);
  EXPECT_EQ(pair.b->destination()->counts().bytes_written, 7 * kChunk);
}

TEST_P(EngineTransfer, WhatComesForOthersIsNotWrittenAgain) {
  // The answer is changed on its way as if another destination had nothing.
  const std::string content = noise(8 * kChunk);
  MemorySource source({{"a", content}});
  MemorySink sink;
  HoldingSink holding(sink, content, {0, 1, 2, 5});
  Pair pair(source, holding, slots(), shared());
  pair.fabric.damage = [](int, int, core::Tag tag, std::vector<std::byte>& bytes) {
    if (tag != core::Tag::kAnswer) return;
    core::Answer answer = core::decode_answer(bytes).value();
    answer.held.clear();
    bytes = core::encode_answer(answer);
  };
  ASSERT_TRUE(pair.run());
  EXPECT_TRUE(sink.visible["a"] == content);
  EXPECT_EQ(pair.a->origin()->counts().bytes_read, 8 * kChunk);
  EXPECT_EQ(pair.b->destination()->counts().bytes_written, 4 * kChunk);
  EXPECT_EQ(sink.writes, 4);
}

TEST_P(EngineTransfer, WhatIsCutShortIsLeftForTheNextRun) {
  // The origin alone has heard that the job is to stop.
  MemorySource source({{"a", noise(64 * kChunk)}});
  MemorySink sink;
  HoldingSink holding(sink, {}, {});
  Pair pair(source, holding, slots(), shared());
  while (sink.writes == 0) pair.turn();
  pair.a->stop();
  ASSERT_TRUE(pair.run());
  EXPECT_TRUE(holding.left_behind && sink.visible.empty());
}

TEST_P(EngineTransfer, MissingFileIsToldBySizeMinusOneAndFailsAlone) {
  MemorySource source({{"a", noise(10)}, {"gone", "", true}, {"b", noise(3 * kChunk)}});
  MemorySink sink;
  Pair pair(source, sink, slots(), shared());
  ASSERT_TRUE(pair.run());
  EXPECT_EQ(sink.told[1].size, -1);
  EXPECT_EQ(sink.visible.size(), 2U);
  ASSERT_EQ(pair.a->failures().total(), 1);
  EXPECT_EQ(pair.a->failures().kept()[0].path, "gone");
  EXPECT_TRUE(pair.b->failures().empty());
}

TEST_P(EngineTransfer, ReadErrorInTheMiddleFailsThatFileAlone) {
  MemorySource source({{"a", noise(6 * kChunk)}, {"b", noise(100)}, {"c", noise(2 * kChunk)}});
  source.fail_reads_from[0] = 2 * kChunk;
  MemorySink sink;
  Pair pair(source, sink, slots(), shared());
  ASSERT_TRUE(pair.run());
  EXPECT_FALSE(sink.visible.contains("a"));
  EXPECT_EQ(sink.visible.size(), 2U);
  EXPECT_TRUE(sink.hidden.empty());
  ASSERT_GE(pair.a->failures().total(), 1);
  EXPECT_EQ(pair.a->failures().kept()[0].error_number, EIO);
  EXPECT_TRUE(pair.b->failures().empty());
}

TEST_P(EngineTransfer, ChangedSourceIsNeverSeen) {
  MemorySource source({{"small", noise(100)}, {"large", noise(5 * kChunk)}});
  source.changed = {0, 1};
  MemorySink sink;
  Pair pair(source, sink, slots(), shared());
  ASSERT_TRUE(pair.run());
  EXPECT_TRUE(sink.visible.empty());
  EXPECT_TRUE(sink.hidden.empty());
  EXPECT_EQ(pair.a->failures().total(), 2);
}

TEST_P(EngineTransfer, FullDiskStopsTheReadingEarly) {
  MemorySource source({{"a", noise(200 * kChunk)}});
  MemorySink sink;
  sink.fail_writes_from = kChunk;
  Pair pair(source, sink, slots(), shared());
  ASSERT_TRUE(pair.run());
  EXPECT_TRUE(sink.visible.empty() && sink.hidden.empty());
  ASSERT_EQ(pair.b->failures().total(), 1);
  EXPECT_EQ(pair.b->failures().kept()[0].error_number, ENOSPC);
  EXPECT_TRUE(pair.a->failures().empty());
  EXPECT_LT(source.reads, 60);
}

TEST_P(EngineTransfer, FailedCommitFailsTheFile) {
  MemorySource source({{"small", noise(10)}, {"large", noise(2 * kChunk)}});
  MemorySink sink;
  sink.fail_commits = true;
  Pair pair(source, sink, slots(), shared());
  ASSERT_TRUE(pair.run());
  EXPECT_TRUE(sink.visible.empty() && sink.hidden.empty());
  EXPECT_EQ(pair.b->failures().total(), 2);
}

TEST_P(EngineTransfer, WhatIsInPlaceIsNotRead) {
  MemorySource source({{"a", noise(5 * kChunk)}, {"b", noise(10)}});
  MemorySink sink;
  sink.in_place = {"a"};
  Pair pair(source, sink, slots(), shared());
  ASSERT_TRUE(pair.run());
  EXPECT_EQ(source.reads, 1);
  EXPECT_EQ(source.closed.size(), 2U);
  EXPECT_EQ(pair.b->destination()->counts().files_in_place, 1U);
  EXPECT_EQ(pair.b->destination()->counts().bytes_written, 10);
}

TEST_P(EngineTransfer, StopLeavesNothingBehind) {
  MemorySource source({{"a", noise(50 * kChunk)}, {"b", noise(10)}});
  MemorySink sink;
  Pair pair(source, sink, slots(), shared());
  while (sink.writes < 2) ASSERT_TRUE(pair.turn());
  pair.b->stop();
  pair.a->stop();
  ASSERT_TRUE(pair.run());
  EXPECT_TRUE(sink.visible.empty() && sink.hidden.empty());
  EXPECT_TRUE(pair.b->failures().empty());
}

// Every byte of the first chunk's head, of its records, and some of its payload.
TEST(EngineDamage, AWrongByteInFlightIsFound) {
  const std::string content = noise(3 * kChunk + 17);
  const std::size_t payload_end = core::kHeadBytes + static_cast<std::size_t>(kChunk);
  std::vector<std::size_t> places;
  for (std::size_t at = 0; at < core::kHeadBytes; ++at) places.push_back(at);
  for (std::size_t at = core::kHeadBytes; at < payload_end; at += 9973) places.push_back(at);
  for (std::size_t at = payload_end; at < payload_end + core::kRecordBytes; ++at) places.push_back(at);
  for (const std::size_t at : places) {
    MemorySource source({{"a", content}});
    MemorySink sink;
    Pair pair(source, sink, 4, false);
    bool done = false;
    pair.fabric.damage = [&](int, int, core::Tag tag, std::vector<std::byte>& bytes) {
      if (tag != core::Tag::kChunk || done) return;
      done = true;
      ASSERT_LT(at, bytes.size());
      bytes[at] ^= std::byte{0x10};
    };
    ASSERT_TRUE(pair.run()) << at;
    EXPECT_TRUE(sink.visible.empty() && sink.hidden.empty()) << at;
    ASSERT_EQ(pair.b->failures().total(), 1) << at;
    EXPECT_EQ(pair.b->failures().kept()[0].kind, base::Kind::kIntegrity) << at;
  }
}

// Whichever message of a whole transfer is damaged: nothing wrong is seen, and nobody waits for ever.
TEST(EngineDamage, NoDamagedMessageHangsOrShows) {
  const std::string content = noise(2 * kChunk);
  for (const bool shared : {false, true}) {
    for (int nth = 0; nth < 40; ++nth) {
      MemorySource source({{"a", content}, {"b", noise(50)}});
      MemorySink sink;
      Pair pair(source, sink, 3, shared);
      int seen = 0;
      pair.fabric.damage = [&](int, int, core::Tag, std::vector<std::byte>& bytes) {
        if (seen++ == nth && !bytes.empty()) bytes[bytes.size() / 3] ^= std::byte{1};
      };
      try {
        ASSERT_TRUE(pair.run()) << "message " << nth;
      } catch (const base::Error& error) {
        EXPECT_EQ(error.failure().kind, base::Kind::kIntegrity);
      }
      if (sink.visible.contains("a")) EXPECT_TRUE(sink.visible["a"] == content);
      if (sink.visible.contains("b")) EXPECT_TRUE(sink.visible["b"] == noise(50));
    }
  }
}

TEST(EngineMemory, SlotsBoundWhatIsInFlight) {
  MemorySource source({{"a", noise(64 * kChunk)}});
  MemorySink sink;
  Pair pair(source, sink, 2, true);
  std::size_t fewest = 2;
  for (int i = 0; i < 10000 && !(pair.a->done() && pair.b->done()); ++i) {
    pair.turn();
    fewest = std::min(fewest, pair.pool_a.free());
  }
  EXPECT_TRUE(pair.a->done() && pair.b->done());
  EXPECT_EQ(fewest, 0U);
  EXPECT_TRUE(sink.visible["a"] == noise(64 * kChunk));
}

}  // namespace
}  // namespace argosy
