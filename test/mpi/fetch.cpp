// What `argosy fetch` says and hands on over real MPI: frames between rank 0 and the others, and chunks around the ring
// of all ranks, or to one.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/digest.h"
#include "command/fetch_delivery.h"
#include "command/frame_line.h"
#include "core/chunk.h"
#include "mpi/session.h"

namespace argosy {
namespace {

constexpr std::int64_t kChunk = base::kLeafSize;

// A duplicate of the communicator of its own; MPI runs already or is started here.
mpi::Session& session() {
  static auto* const kSession = new mpi::Session();
  return *kSession;
}

// Steps until all ranks are done.
void run(const std::function<void()>& step, const std::function<bool()>& done) {
  std::optional<mpi::Agreement> agreement;
  while (!agreement || !agreement->reached()) {
    session().transport().poll();
    step();
    if (!agreement && done()) agreement = session().agree({});
    std::this_thread::sleep_for(std::chrono::microseconds(20));
  }
}

TEST(FetchMpi, FramesBothWays) {
  const int ranks = session().size();
  std::map<int, std::size_t> came;
  std::vector<std::size_t> orders;
  std::optional<command::FrameLine> down;
  if (session().rank() == 0) {
    down.emplace(session().transport(), core::Tag::kOrder, core::Tag::kWord, core::kAnyRank,
                 [&](int from, std::span<const std::byte> frame) { came[from] += frame.size(); });
  }
  command::FrameLine up(session().transport(), core::Tag::kWord, core::Tag::kOrder, 0,
                        [&](int, std::span<const std::byte> frame) { orders.push_back(frame.size()); });
  const std::vector<std::size_t> lengths = {0, 1, 70'000, 200'000, 5};
  for (const std::size_t length : lengths) {
    up.send(0, std::vector<std::byte>(length));
    for (int rank = 0; rank < ranks && down; ++rank) down->send(rank, std::vector<std::byte>(length));
  }
  run([] {},
      [&] {
        // What is under way refers to its line.
        bool all = orders.size() == lengths.size() && up.idle() && (!down || down->idle());
        for (int rank = 0; rank < ranks && down; ++rank) all = all && came[rank] == 270'006;
        return all;
      });
  EXPECT_EQ(orders, lengths);
}

void go_around(const std::vector<int>& members, std::uint64_t chunks) {
  const int ranks = session().size();
  const int me = session().rank();
  const std::size_t slot = core::message_capacity(kChunk);
  std::vector<std::byte> memory(8 * slot);
  const std::span<std::byte> all = memory;
  engine::Pool own(all.first(3 * slot), slot);
  engine::Pool entering(all.subspan(3 * slot, 2 * slot), slot);
  engine::Pool transit(all.subspan(5 * slot, 3 * slot), slot);
  command::Delivery::Settings how;
  how.members = members;
  std::vector<std::uint64_t> counts(members.size());
  for (int rank = 0; rank < ranks; ++rank) {
    how.homes.push_back(rank % static_cast<int>(members.size()));
    counts[static_cast<std::size_t>(how.homes.back())] += chunks;
  }
  how.credits = 3;
  std::map<std::uint64_t, int> got;
  command::Delivery delivery(session().transport(), how, entering, transit, [&](const engine::MessageUse& message) {
    std::string why;
    const auto view = core::open_chunk(message->bytes(), why);
    ASSERT_TRUE(view) << why;
    const core::Record& record = view->records.at(0);
    EXPECT_EQ(base::digest_of(view->payload, 0), record.digest);
    ++got[record.entry];
  });
  delivery.expect(counts);
  std::uint64_t left = chunks;
  const auto step = [&] {
    const auto at = left > 0 ? own.acquire() : std::nullopt;
    if (at) {
      const auto payload = core::payload_of(own.bytes(*at), kChunk);
      std::fill(payload.begin(), payload.end(), static_cast<std::byte>(left));
      core::Record record;
      record.entry = static_cast<std::uint64_t>(me) * chunks + left;
      record.length = kChunk;
      record.digest = base::digest_of(payload, 0);
      core::Head head;
      head.index = static_cast<std::uint64_t>(how.homes[static_cast<std::size_t>(me)]);
      head.payload = static_cast<std::uint32_t>(kChunk);
      const std::size_t bytes = core::seal_chunk(own.bytes(*at), head, std::span(&record, 1));
      --left;
      delivery.put(std::make_shared<const engine::Message>(head.index, own.bytes(*at).first(bytes),
                                                           [&own, at = *at] { own.release(at); }));
    }
    delivery.step();
  };
  run(step, [&] { return left == 0 && delivery.done(); });
  const bool member = std::find(members.begin(), members.end(), me) != members.end();
  EXPECT_EQ(got.size(), member ? chunks * static_cast<std::uint64_t>(ranks) : 0);
  for (const auto& [entry, count] : got) EXPECT_EQ(count, 1) << entry;
}

TEST(FetchMpi, ChunksGoAroundAllRanks) {
  std::vector<int> members;
  for (int rank = 0; rank < session().size(); ++rank) members.push_back(rank);
  go_around(members, 40);
}

TEST(FetchMpi, ChunksGoToOne) { go_around({session().size() - 1}, 40); }

}  // namespace
}  // namespace argosy
