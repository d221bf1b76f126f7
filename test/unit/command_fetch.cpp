// Dealing, messages and the ring of `argosy fetch`, without MPI, network or clock.
#include <gtest/gtest.h>

#include <map>
#include <random>

#include "base/digest.h"
#include "command/fetch_dealer.h"
#include "command/fetch_delivery.h"
#include "command/fetch_layout.h"
#include "command/fetch_worker.h"
#include "command/frame_line.h"
#include "core/chunk.h"
#include "memory_fabric.h"

namespace argosy::command {
namespace {

constexpr std::int64_t kChunk = 1 << 20;

// Ranks that answer at once, from objects in memory; what they do wrong the test says.
class World {
 public:
  explicit World(Dealer& dealer) : dealer_(dealer) {}

  std::map<std::string, std::int64_t> sizes;
  std::function<void(const Item&, Outcome&)> change = [](const Item&, Outcome&) {};
  std::map<std::uint64_t, End> ends;
  std::multimap<std::string, std::int64_t> asked;
  std::vector<Pause> pauses;
  std::map<int, std::vector<Existing>> existing;  // by member, what it answers to a look
  std::map<int, std::vector<Unfinished>> unfinished;
  std::map<int, Held> held;                     // what it answers once it is known what the object is
  std::map<int, std::vector<core::Part>> kept;  // as told
  std::vector<Pinned> pins;
  std::vector<Discard> discards;
  int unequal = 0;  // so many receipts say that the bytes are wrong

  // Until all is settled, or nothing moves any more.
  void run() {
    for (int turn = 0; turn < 100'000 && !dealer_.done(); ++turn) {
      now += 0.01;
      std::vector<std::pair<int, Word>> words;
      for (Dealer::Sent& sent : dealer_.deal(now)) answer(sent, words);
      std::shuffle(words.begin(), words.end(), random_);
      std::stable_sort(words.begin(), words.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
      for (auto& [rank, word] : in_order(words)) dealer_.take(rank, word, now);
    }
  }
  double now = 0;

 private:
  // Of one task the outcomes come before its end.
  static std::vector<std::pair<int, Word>> in_order(std::vector<std::pair<int, Word>>& words) {
    std::stable_partition(words.begin(), words.end(),
                          [](const auto& one) { return !std::holds_alternative<TaskEnd>(one.second); });
    return words;
  }

  void answer(Dealer::Sent& sent, std::vector<std::pair<int, Word>>& words) {
    if (const auto* look = std::get_if<Look>(&sent.order)) {
      words.emplace_back(sent.rank, Looked{look->id, existing[sent.rank], unfinished[sent.rank]});
    }
    if (const auto* pinned = std::get_if<Pinned>(&sent.order)) {
      pins.push_back(*pinned);
      Held answer = held[sent.rank];
      answer.entry = pinned->entry;
      if (pinned->goes_on) words.emplace_back(sent.rank, answer);
    }
    if (const auto* keep = std::get_if<Keep>(&sent.order)) kept[sent.rank] = keep->parts;
    if (const auto* discard = std::get_if<Discard>(&sent.order)) discards.push_back(*discard);
    if (const auto* pause = std::get_if<Pause>(&sent.order)) pauses.push_back(*pause);
    if (const auto* end = std::get_if<End>(&sent.order)) {
      ends[end->entry] = *end;
      const bool wrong = unequal > 0 && unequal-- > 0;
      words.emplace_back(
          sent.rank, Receipt{end->entry, wrong ? base::Kind::kIntegrity : base::Kind::kNone, wrong ? "is wrong" : ""});
    }
    const auto* task = std::get_if<Task>(&sent.order);
    if (task == nullptr) return;
    for (const Item& item : task->items) {
      const std::int64_t size = sizes.at(item.url);
      asked.emplace(item.url, item.first);
      Outcome outcome;
      outcome.task = task->id;
      outcome.entry = item.entry;
      outcome.first = item.first;
      outcome.whole = item.length == 0;
      outcome.status = outcome.whole ? 200 : 206;
      outcome.got = outcome.whole ? size : std::min(item.length, size - item.first);
      outcome.pin = {"\"e\"", "", size, ""};
      outcome.seconds = 0.1;
      outcome.hops = {{task->host, outcome.status, outcome.got}};
      change(item, outcome);
      words.emplace_back(sent.rank, outcome);
    }
    words.emplace_back(sent.rank, TaskEnd{task->id, 1});
  }

  Dealer& dealer_;
  std::mt19937 random_{7};
};

Dealer::Settings settings(int ranks) {
  Dealer::Settings how;
  how.chunk_size = kChunk;
  how.seats.assign(static_cast<std::size_t>(ranks), 8);
  how.members = {0};
  how.homes.assign(static_cast<std::size_t>(ranks), 0);
  return how;
}

std::vector<http::Wanted> wanted(std::initializer_list<const char*> urls) {
  std::vector<http::Wanted> all;
  for (const char* url : urls) {
    all.emplace_back();
    all.back().urls = {url};
  }
  return all;
}

TEST(FetchDealer, EveryByteIsAskedForOnce) {
  Dealer dealer(wanted({"http://h/a", "http://h/b", "http://h/c"}), settings(3));
  World world(dealer);
  world.sizes = {{"http://h/a", 100 * kChunk + 5}, {"http://h/b", 0}, {"http://h/c", kChunk}};
  world.run();
  ASSERT_TRUE(dealer.done());
  EXPECT_EQ(dealer.files(), 3);
  EXPECT_EQ(dealer.bytes_received(), dealer.bytes_delivered());
  EXPECT_EQ(dealer.bytes_delivered(), 101 * kChunk + 5);
  EXPECT_TRUE(dealer.failures().empty());
  EXPECT_EQ(dealer.finished().counts.size(), 1U);
}

// An object of `chunks` chunks at http://h/a of which members have left something.
class FetchDealerGoesOn : public testing::Test {
 protected:
  static constexpr std::int64_t kSize = 50 * kChunk + 5;
  static std::string key(const std::string& etag) {
    return http::fingerprint(http::parse_url("http://h/a")) + '\n' + http::to_text({etag, "", kSize, ""});
  }
  static Unfinished begun(core::Range gap, const std::string& etag = "\"e\"") { return {0, kSize, key(etag), gap}; }
  static core::Part part(std::int64_t begin, std::int64_t end, std::uint64_t digest) {
    return {{begin * kChunk, std::min(end * kChunk, kSize)}, {digest, digest}};
  }
  void begin(std::vector<int> members) {
    Dealer::Settings how = settings(3);
    how.members = std::move(members);
    how.homes.assign(3, 0);
    dealer_.emplace(wanted({"http://h/a"}), how);
    world_.emplace(*dealer_);
    world_->sizes = {{"http://h/a", kSize}};
  }
  // To the end; what of the object was fetched.
  std::int64_t fetched() {
    world_->run();
    EXPECT_TRUE(dealer_->done());
    EXPECT_TRUE(dealer_->failures().empty());
    EXPECT_EQ(dealer_->files(), 1);
    EXPECT_EQ(dealer_->bytes(), kSize);
    EXPECT_EQ(dealer_->bytes_delivered() + dealer_->bytes_resumed(), kSize);
    return dealer_->bytes_delivered();
  }

  std::optional<Dealer> dealer_;
  std::optional<World> world_;
};

TEST_F(FetchDealerGoesOn, WhatAllMembersHoldAlikeIsNotAskedFor) {
  begin({0, 2});
  world_->unfinished[0] = {begun({20 * kChunk, 49 * kChunk})};
  world_->unfinished[2] = {begun({3 * kChunk, 4 * kChunk})};
  const core::Part first = part(0, 3, 1);
  const core::Part last = part(49, 51, 4);
  world_->held[0].parts = {first, part(3, 10, 5), part(10, 20, 2), last};
  world_->held[2].parts = {first, part(10, 20, 3), last};
  EXPECT_EQ(fetched(), 46 * kChunk);
  EXPECT_EQ(dealer_->bytes_received(), dealer_->bytes_delivered());
  EXPECT_EQ(world_->kept[0], (std::vector<core::Part>{first, last}));
  EXPECT_EQ(world_->kept[2], world_->kept[0]);
  for (const auto& [url, at] : world_->asked) EXPECT_TRUE(at >= 3 * kChunk && at < 49 * kChunk) << at;
  EXPECT_EQ(world_->ends.begin()->first, entry_of(0, 0));
  EXPECT_TRUE(world_->discards.empty());
}

TEST_F(FetchDealerGoesOn, AllRequestsSayWhatIsGoneOnWith) {
  begin({0});
  world_->unfinished[0] = {begun({3 * kChunk, 4 * kChunk})};
  world_->held[0].parts = {part(0, 3, 1)};
  world_->change = [](const Item& item, Outcome&) {
    EXPECT_EQ(item.if_range, "\"e\"");
    EXPECT_EQ(item.pin.etag, "\"e\"");
    EXPECT_EQ(item.pin.size, kSize);
    EXPECT_GT(item.length, 0);
  };
  EXPECT_EQ(fetched(), kSize - 3 * kChunk);
}

TEST_F(FetchDealerGoesOn, WhereAllIsThereItsLastLeafIsAskedFor) {
  begin({0});
  world_->unfinished[0] = {begun({kSize, kSize})};
  world_->held[0].parts = {part(0, 50, 1), {{50 * kChunk, kSize}, {2, 2}}};
  EXPECT_EQ(fetched(), 5);
  EXPECT_EQ(world_->asked.size(), 1U);
}

TEST_F(FetchDealerGoesOn, AMemberThatHasAllOfItLacksNothing) {
  begin({0, 1});
  world_->unfinished[0] = {begun({3 * kChunk, 4 * kChunk})};
  world_->existing[1] = {{0, kSize, "\"e\"", http::fingerprint(http::parse_url("http://h/a"))}};
  world_->held[0].parts = {part(0, 3, 1), part(4, 51, 2)};
  world_->held[1].lacks_nothing = true;
  EXPECT_EQ(fetched(), kChunk);
  ASSERT_EQ(world_->pins.size(), 2U);
  EXPECT_EQ(world_->pins[0].in_place, "");
  EXPECT_EQ(world_->pins[1].in_place, "\"e\"");
}

TEST_F(FetchDealerGoesOn, WhereAMemberHasNothingAllComesAnew) {
  begin({0, 1});
  world_->unfinished[0] = {begun({3 * kChunk, 4 * kChunk})};
  EXPECT_EQ(fetched(), kSize);
  EXPECT_EQ(world_->ends.begin()->first, entry_of(0, 1));
  ASSERT_EQ(world_->discards.size(), 2U);
  EXPECT_EQ(world_->discards[0].entry, entry_of(0, 0));
  EXPECT_FALSE(world_->discards[0].stays);
  for (const Pinned& pinned : world_->pins) EXPECT_FALSE(pinned.goes_on);
}

TEST_F(FetchDealerGoesOn, OfAnotherVersionNothingIsKept) {
  using Kind = Outcome::Kind;
  for (const auto& [kind, status] : {std::pair(Kind::kChanged, 206), std::pair(Kind::kChanged, 200),
                                     std::pair(Kind::kStatus, 412), std::pair(Kind::kStatus, 416)}) {
    begin({0});
    world_->unfinished[0] = {begun({3 * kChunk, 4 * kChunk}, "\"old\"")};
    world_->held[0].parts = {part(0, 3, 1)};
    world_->change = [kind = kind, status = status](const Item& item, Outcome& outcome) {
      if (item.pin.etag != "\"old\"") return;
      outcome.kind = kind;
      outcome.status = status;
      outcome.got = 0;
      outcome.hops[0].bytes = 0;
    };
    EXPECT_EQ(fetched(), kSize);
    EXPECT_LT(world_->now, 2) << "there is nothing to be waited for";
    EXPECT_TRUE(world_->kept.empty());
    EXPECT_EQ(world_->ends.begin()->first, entry_of(0, 1));
  }
}

TEST_F(FetchDealerGoesOn, AClaimThatCantBeIsNone) {
  const Unfinished good = begun({3 * kChunk, 4 * kChunk});
  for (Unfinished bad : {good, good, good, good, good, good}) {
    static int which = 0;
    if (which == 0) bad.gap = {-1, 5};
    if (which == 1) bad.gap = {5, 4};
    if (which == 2) bad.gap = {kSize, kSize + 1};
    if (which == 3) bad.size = -1;
    if (which == 4) bad.key = "elsewhere" + bad.key;
    if (which == 5) bad.key = key("\"e\"") + "\r\nX: y";
    ++which;
    begin({0});
    world_->unfinished[0] = {bad};
    EXPECT_EQ(fetched(), kSize) << which;
  }
  begin({0});
  EXPECT_THROW(
      {
        dealer_->deal(0);
        dealer_->take(0, Looked{0, {}, {Unfinished{7, kSize, key("\"e\""), {}}}}, 0);
      },
      base::Error);
}

TEST_F(FetchDealerGoesOn, PartsThatCantBeAreNotKept) {
  begin({0});
  world_->unfinished[0] = {begun({3 * kChunk, 4 * kChunk})};
  world_->held[0].parts = {{{-kChunk, 0}, {}}, {{0, 2 * kSize}, {}}, {{2 * kChunk, kChunk}, {}},    {{1, kChunk}, {}},
                           part(0, 3, 1),      part(2, 3, 1),        {{3 * kChunk, 4 * kChunk}, {}}};
  EXPECT_EQ(fetched(), kSize - 3 * kChunk);
  EXPECT_EQ(world_->kept[0], (std::vector<core::Part>{part(0, 3, 1)}));
}

TEST_F(FetchDealerGoesOn, WhatIsWrongWithWhatWasKeptComesAnew) {
  begin({0});
  world_->unfinished[0] = {begun({3 * kChunk, 4 * kChunk})};
  world_->held[0].parts = {part(0, 3, 1)};
  world_->unequal = 1;
  world_->run();
  EXPECT_TRUE(dealer_->done() && dealer_->failures().empty());
  EXPECT_EQ(dealer_->bytes_delivered(), kSize);
  EXPECT_EQ(dealer_->bytes_resumed(), 0);
}

TEST_F(FetchDealerGoesOn, WhatIsInterruptedStays) {
  begin({0});
  world_->unfinished[0] = {begun({3 * kChunk, 4 * kChunk})};
  dealer_->deal(0);
  dealer_->take(0, Looked{0, {}, world_->unfinished[0]}, 0);
  dealer_->stop();
  bool told = false;
  for (const Dealer::Sent& sent : dealer_->deal(0)) {
    if (const auto* discard = std::get_if<Discard>(&sent.order)) told = discard->stays;
  }
  EXPECT_TRUE(told);
}

TEST(FetchDealer, AnObjectThatChangesIsANewEntry) {
  Dealer dealer(wanted({"http://h/a"}), settings(2));
  World world(dealer);
  world.sizes = {{"http://h/a", 10 * kChunk}};
  int answers = 0;
  world.change = [&](const Item& item, Outcome& outcome) {
    if (++answers != 4) return;
    EXPECT_EQ(item.pin.etag, "\"e\"");
    outcome.kind = Outcome::Kind::kChanged;
    outcome.got = 0;
    outcome.digest = {};
  };
  world.run();
  ASSERT_TRUE(dealer.done());
  EXPECT_EQ(dealer.files(), 1);
  ASSERT_EQ(world.ends.size(), 1U);
  EXPECT_EQ(world.ends.begin()->first, entry_of(0, 1));
}

TEST(FetchDealer, OneThatNeverStaysTheSameIsGivenUp) {
  Dealer dealer(wanted({"http://h/a"}), settings(2));
  World world(dealer);
  world.sizes = {{"http://h/a", 10 * kChunk}};
  bool whole = false;
  world.change = [&](const Item& item, Outcome& outcome) {
    whole = whole || item.length == 0;
    outcome.kind = Outcome::Kind::kChanged;
    outcome.got = 0;
  };
  world.run();
  ASSERT_TRUE(dealer.done());
  ASSERT_EQ(dealer.failures().size(), 1U);
  EXPECT_EQ(dealer.failures()[0].kind, base::Kind::kOrigin);
  EXPECT_TRUE(whole) << "the last times it is asked for in one piece";
}

TEST(FetchDealer, BrokenRangesGoOnWhereTheyBroke) {
  Dealer dealer(wanted({"http://h/a"}), settings(2));
  World world(dealer);
  world.sizes = {{"http://h/a", 20 * kChunk}};
  std::mt19937 random(3);
  world.change = [&](const Item&, Outcome& outcome) {
    if (random() % 2 == 0 || outcome.got <= base::kLeafSize) return;
    outcome.kind = Outcome::Kind::kBroken;
    outcome.got = base::kLeafSize;
    outcome.hops[0].bytes = outcome.got;
  };
  world.run();
  ASSERT_TRUE(dealer.done());
  EXPECT_EQ(dealer.files(), 1);
  EXPECT_EQ(dealer.bytes_received(), 20 * kChunk);
}

TEST(FetchDealer, AHostThatRefusesIsLeftAloneByAll) {
  Dealer::Settings how = settings(2);
  how.connections = 1;  // so that the first answer stands before the second request
  Dealer dealer(wanted({"http://h/a", "http://h/b"}), how);
  World world(dealer);
  world.sizes = {{"http://h/a", 5}, {"http://h/b", 5}};
  double refused_at = 0;
  world.change = [&](const Item&, Outcome& outcome) {
    if (refused_at > 0) {
      EXPECT_GE(world.now, refused_at + 2);
      return;
    }
    refused_at = world.now;
    outcome.kind = Outcome::Kind::kStatus;
    outcome.status = 429;
    outcome.wait = 2;
    outcome.got = 0;
  };
  world.run();
  EXPECT_TRUE(dealer.done());
  EXPECT_EQ(dealer.ledger().at("h:80").throttled, 1);
}

TEST(FetchDealer, MirrorsAndTheirEnd) {
  std::vector<http::Wanted> one(1);
  one[0].urls = {"http://a/x", "http://b/x"};
  Dealer dealer(one, settings(2));
  World world(dealer);
  world.sizes = {{"http://a/x", 5}, {"http://b/x", 5}};
  world.change = [](const Item& item, Outcome& outcome) {
    if (item.url != "http://a/x") return;
    outcome.kind = Outcome::Kind::kStatus;
    outcome.status = 404;
    outcome.got = 0;
  };
  world.run();
  EXPECT_EQ(dealer.files(), 1);
  EXPECT_TRUE(dealer.failures().empty());
}

TEST(FetchDealer, TwoOfANameNeedRename) {
  EXPECT_THROW(Dealer(wanted({"http://h/a", "http://h/x/a"}), settings(1)), base::Error);
  Dealer::Settings how = settings(1);
  how.rename = true;
  Dealer dealer(wanted({"http://h/a", "http://h/x/a"}), how);
  World world(dealer);
  world.sizes = {{"http://h/a", 5}, {"http://h/x/a", 5}};
  world.run();
  EXPECT_EQ(world.ends.at(entry_of(1, 0)).name, "a.1");
}

TEST(FetchDealer, HostileWordsAreRefused) {
  Dealer dealer(wanted({"http://h/a"}), settings(1));
  dealer.deal(0);
  EXPECT_THROW(dealer.take(0, Receipt{entry_of(7, 0), base::Kind::kNone, {}}, 0), base::Error);
  EXPECT_THROW(dealer.take(0, TaskEnd{99, 0}, 0), base::Error);
  EXPECT_THROW(dealer.take(0, Looked{5, {}}, 0), base::Error);
  Outcome outcome;
  outcome.task = 99;
  EXPECT_THROW(dealer.take(0, outcome, 0), base::Error);
}

TEST(FetchWire, ThereAndBackAndDamaged) {
  Task task;
  task.id = 7;
  task.host = "h:80";
  task.items.resize(2);
  task.items[1].url = "http://h/x";
  task.items[1].pin.etag = "\"e\"";
  auto bytes = encode(Order(task));
  const auto order = decode_order(bytes);
  ASSERT_TRUE(order);
  EXPECT_EQ(std::get<Task>(*order).items[1].pin.etag, "\"e\"");
  Outcome outcome;
  outcome.wait = 1.5;
  outcome.checksums = {{"md5", "abc"}};
  outcome.fields = {{"a", "b"}};
  outcome.hops = {{"h", 200, 5}};
  const auto word = decode_word(encode(Word(outcome)));
  ASSERT_TRUE(word);
  EXPECT_EQ(std::get<Outcome>(*word).wait, 1.5);
  EXPECT_EQ(std::get<Outcome>(*word).hops[0].bytes, 5);
  for (std::size_t length = 0; length < bytes.size(); ++length)
    EXPECT_FALSE(decode_order(std::span(bytes).first(length)));
  bytes[0] = std::byte{99};
  EXPECT_FALSE(decode_order(bytes));
}

TEST(FetchWorker, WhatIsWrongWithAnAnswer) {
  Item item;
  item.first = 10;
  item.length = 10;
  item.pin = {"\"e\"", "", 100, ""};
  bool whole = false;
  const auto kind = [&](int status, std::vector<std::pair<std::string, std::string>> fields) {
    const auto refusal = refuse(item, {status, std::move(fields)}, whole);
    return refusal ? std::optional(refusal->kind) : std::nullopt;
  };
  using Kind = Outcome::Kind;
  EXPECT_EQ(kind(206, {{"content-range", "bytes 10-19/100"}, {"etag", "\"e\""}}), std::nullopt);
  EXPECT_EQ(kind(206, {{"content-range", "bytes 10-15/100"}, {"etag", "\"e\""}}), std::nullopt)
      << "a part may be shorter";
  EXPECT_EQ(kind(206, {{"content-range", "bytes 10-20/100"}, {"etag", "\"e\""}}), Kind::kNoRange);
  EXPECT_EQ(kind(206, {{"content-range", "bytes 11-19/100"}, {"etag", "\"e\""}}), Kind::kNoRange);
  EXPECT_EQ(kind(206, {{"etag", "\"e\""}}), Kind::kNoRange);
  EXPECT_EQ(kind(206, {{"content-range", "bytes 10-19/100"}, {"etag", "\"f\""}}), Kind::kChanged);
  EXPECT_EQ(kind(206, {{"content-range", "bytes 10-19/101"}, {"etag", "\"e\""}}), Kind::kChanged);
  EXPECT_EQ(kind(206, {{"content-range", "bytes 10-19/100"}}), Kind::kChanged);
  EXPECT_EQ(kind(200, {{"content-length", "100"}, {"etag", "\"e\""}}), Kind::kNoRange);
  EXPECT_EQ(kind(200, {{"content-length", "100"}, {"etag", "\"f\""}}), Kind::kChanged);
  EXPECT_EQ(kind(206, {{"content-encoding", "gzip"}}), Kind::kRefused);
  item = {};
  EXPECT_EQ(kind(200, {}), std::nullopt);
  EXPECT_TRUE(whole);
}

// Chunks that ranks put in at random go around the ring to all members, with the fewest slots there can be.
void go_around(int ranks, const std::vector<std::int64_t>& writes, int chunks, unsigned seed) {
  constexpr std::int64_t kSmall = base::kLeafSize;
  const std::size_t slot = core::message_capacity(kSmall);
  test::Fabric fabric(ranks);
  FetchLayout layout;
  std::vector<int> leaders;
  for (int rank = 0; rank < ranks; ++rank) leaders.push_back(rank);
  settle_members(layout, leaders, writes);
  struct Rank {
    std::vector<std::byte> memory;
    std::optional<engine::Pool> own, entering, transit;
    std::optional<Delivery> delivery;
    std::multimap<std::uint64_t, int> got;
    std::deque<engine::MessageUse> held;  // what its disk is slow at
    int left = 0;
  };
  std::vector<Rank> all(static_cast<std::size_t>(ranks));
  std::vector<std::uint64_t> counts(layout.members.size());
  std::mt19937 random(seed);
  for (int r = 0; r < ranks; ++r) {
    Rank& rank = all[static_cast<std::size_t>(r)];
    rank.memory.resize(6 * slot);
    rank.own.emplace(std::span(rank.memory).first(2 * slot), slot);
    rank.entering.emplace(std::span(rank.memory).subspan(2 * slot, 2 * slot), slot);
    rank.transit.emplace(std::span(rank.memory).subspan(4 * slot, 2 * slot), slot);
    Delivery::Settings how;
    how.members = layout.members;
    how.homes = layout.homes;
    how.credits = 2;
    rank.delivery.emplace(fabric[r], how, *rank.entering, *rank.transit, [&rank](const engine::MessageUse& message) {
      std::string why;
      const auto view = core::open_chunk(message->bytes(), why);
      ASSERT_TRUE(view) << why;
      rank.got.emplace(view->records.at(0).entry, 1);
      rank.held.push_back(message);
    });
    rank.left = chunks;
    counts[static_cast<std::size_t>(layout.homes[static_cast<std::size_t>(r)])] += static_cast<std::uint64_t>(chunks);
  }
  for (Rank& rank : all) rank.delivery->expect(counts);
  for (int turn = 0; turn < 1'000'000; ++turn) {
    const int r = static_cast<int>(random() % static_cast<unsigned>(ranks));
    Rank& rank = all[static_cast<std::size_t>(r)];
    if (rank.left > 0) {
      if (const auto at = rank.own->acquire()) {
        core::Record record;
        record.entry = static_cast<std::uint64_t>(r * chunks + rank.left);
        core::Head head;
        head.index = static_cast<std::uint64_t>(layout.homes[static_cast<std::size_t>(r)]);
        const std::size_t bytes = core::seal_chunk(rank.own->bytes(*at), head, std::span(&record, 1));
        --rank.left;
        rank.delivery->put(std::make_shared<const engine::Message>(head.index, rank.own->bytes(*at).first(bytes),
                                                                   [&rank, at = *at] { rank.own->release(at); }));
      }
    }
    fabric[r].poll();
    rank.delivery->step();
    if (random() % 3 == 0 && !rank.held.empty()) rank.held.pop_front();
    const bool done = std::all_of(all.begin(), all.end(), [](const Rank& one) {
      return one.left == 0 && one.held.empty() && one.delivery->done();
    });
    if (done) break;
  }
  for (const int member : layout.members) {
    const auto& got = all[static_cast<std::size_t>(member)].got;
    EXPECT_EQ(got.size(), static_cast<std::size_t>(ranks * chunks));
    for (auto it = got.begin(); it != got.end(); it = got.upper_bound(it->first)) EXPECT_EQ(got.count(it->first), 1U);
  }
  for (Rank& rank : all) EXPECT_TRUE(rank.left == 0 && rank.held.empty() && rank.delivery->done());
  for (Rank& rank : all) rank.delivery.reset();
}

TEST(FetchDelivery, AllMembersGetAllOnce) {
  for (unsigned seed = 0; seed < 5; ++seed) {
    go_around(1, {1}, 20, seed);
    go_around(2, {1, 1}, 40, seed);
    go_around(3, {0, 1, 0}, 40, seed);
    go_around(5, {1, 1, 1, 1, 1}, 40, seed);
    go_around(6, {1, 0, 1, 0, 0, 1}, 40, seed);
  }
}

TEST(FrameLine, FramesOfAnyLengthInOrder) {
  test::Fabric fabric(2);
  std::vector<std::size_t> lengths;
  FrameLine sender(fabric[0], core::Tag::kOrder, core::Tag::kWord, core::kAnyRank, [](int, auto) {});
  FrameLine taker(fabric[1], core::Tag::kWord, core::Tag::kOrder, 0, [&](int from, std::span<const std::byte> frame) {
    EXPECT_EQ(from, 0);
    lengths.push_back(frame.size());
  });
  const std::vector<std::size_t> sent = {0, 1, 65535, 65536, 200'000, 3, 0};
  for (const std::size_t length : sent) sender.send(1, std::vector<std::byte>(length));
  for (int turn = 0; turn < 100; ++turn) {
    fabric[0].poll();
    fabric[1].poll();
  }
  EXPECT_EQ(lengths, sent);
  EXPECT_TRUE(sender.idle());
}

TEST(FetchLayout, MemoryIsForAllRanksOfANode) {
  CommonOptions options;
  const FetchLayout two = plan_memory(options, 8, {0, 0});
  EXPECT_LE(two.slots[0] * static_cast<std::size_t>(two.chunk_size) * 2, static_cast<std::size_t>(options.memory));
  options.memory = 4 << 20;
  EXPECT_THROW(plan_memory(options, 8, {0, 0, 0, 0}), base::Error);
  EXPECT_EQ(plan_memory(options, 8, {0}).chunk_size, base::kLeafSize);
}

}  // namespace
}  // namespace argosy::command
