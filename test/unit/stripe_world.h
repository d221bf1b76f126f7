// All that a stripe's ranks have, in memory and on one thread: its shares, and a dealer, holders, servers, a checker or
// a collector over them.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "core/stripe_manifest.h"
#include "engine/checker.h"
#include "engine/collector.h"
#include "engine/dealer.h"
#include "engine/holder.h"
#include "engine/stripe_server.h"
#include "memory_fabric.h"

namespace argosy::test {

inline std::string noise(std::size_t bytes, unsigned seed) {
  std::mt19937 generator(seed);
  std::string text(bytes, '\0');
  for (char& c : text) c = static_cast<char>(generator());
  return text;
}

inline std::string text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// A worker's folder.
class MemoryShare final : public core::ShareSink {
 public:
  void write(const core::Place& place, std::span<const std::byte> data) override {
    if (room >= 0 && --room < 0) {
      room = 0;
      throw base::Error(base::Kind::kDestination, "share", ENOSPC, "full");
    }
    chunks[place.position] = text_of(data);
    numbers[place.position] = place.parity ? -1 - place.number : place.number;
  }
  void write_table(std::int64_t first_row, std::span<const std::byte> rows) override {
    ASSERT_EQ(table.size(), static_cast<std::size_t>(first_row) * core::kRowBytes);
    table += text_of(rows);
  }
  std::map<std::uint64_t, std::string> chunks;
  std::map<std::uint64_t, std::int64_t> numbers;
  std::string table;
  int room = -1;  // chunks that it takes; -1: all
};

class MemoryShelf final : public core::Shelf {
 public:
  void read(std::uint32_t folder, const core::Place& place, std::int64_t /*chunk_size*/,
            std::span<std::byte> into) override {
    const auto found = folders.at(folder)->chunks.find(place.position);
    if (found == folders.at(folder)->chunks.end() || found->second.size() < into.size()) {
      throw base::system_error(base::Kind::kSource, "share", ENOENT, "gone");
    }
    std::memcpy(into.data(), found->second.data(), into.size());
  }
  void read_table(std::uint32_t folder, std::int64_t first_row, std::span<std::byte> into) override {
    const std::string& table = folders.at(folder)->table;
    const auto at = static_cast<std::size_t>(first_row) * core::kRowBytes;
    if (at + into.size() > table.size()) throw base::system_error(base::Kind::kSource, "table", ENODATA, "short");
    std::memcpy(into.data(), table.data() + at, into.size());
  }
  std::vector<MemoryShare*> folders;
};

class MemoryOut final : public core::CellSink {
 public:
  void put(const core::Cell& cell, const core::Row& /*row*/, std::span<const std::byte> data) override {
    if (cell.parity) return;
    const std::lock_guard lock(mutex_);
    const auto end = static_cast<std::size_t>(cell.offset) + data.size();
    if (content.size() < end) content.resize(end);
    std::memcpy(content.data() + cell.offset, data.data(), data.size());
  }
  void put_table(std::int64_t first_row, std::span<const std::byte> rows) override {
    const std::lock_guard lock(mutex_);
    const auto at = static_cast<std::size_t>(first_row) * core::kRowBytes;
    table.resize(std::max(table.size(), at + rows.size()));
    table.replace(at, rows.size(), text_of(rows));
  }
  std::string content;
  std::string table;

 private:
  std::mutex mutex_;
};

struct Setting {
  int ranks = 4;
  std::int64_t chunk = 100;
  int parity = 0;
  bool root_too = false;
  bool open_ended = false;
  bool shared = false;  // memory
};

// All that a stripe's ranks have.
class World {
 public:
  explicit World(Setting setting) : setting_(setting), fabric(setting.ranks) {
    for (int rank = setting.root_too ? 0 : 1; rank < setting.ranks; ++rank) {
      workers.push_back(static_cast<std::uint32_t>(rank));
      shares[static_cast<std::uint32_t>(rank)] = std::make_unique<MemoryShare>();
    }
    bundle = setting.chunk <= 50 ? 16 : 1;
    payload = std::max<std::size_t>(static_cast<std::size_t>(setting.chunk) * bundle, 4096);
    slot = (core::deal_head_bytes(bundle) + payload + 4095) / 4096 * 4096;
    slot = std::max(slot, core::reply_head_bytes(bundle) + payload);
    for (int rank = 0; rank < setting.ranks; ++rank) {
      memory.emplace_back(24 * slot);
      io.push_back(std::make_unique<engine::Workers>(0));
      if (setting.shared) fabric.shared[rank] = memory.back();
    }
  }

  // Ranks step in turn; false for a deadlock.
  bool run(const std::function<bool()>& step, const std::function<bool()>& done) {
    for (int idle = 0; idle < 4;) {
      bool busy = false;
      for (int rank = 0; rank < setting_.ranks; ++rank) {
        busy = fabric[rank].poll() > 0 || busy;
        busy = io[static_cast<std::size_t>(rank)]->drain() > 0 || busy;
      }
      busy = step() || busy;
      if (done()) return true;
      busy = busy || std::any_of(io.begin(), io.end(), [](const auto& one) { return one->outstanding() > 0; });
      idle = busy ? 0 : idle + 1;
    }
    return false;
  }

  void scatter(const std::string& content) {
    MemorySource source({{"f", content, false, setting_.open_ended}});
    engine::Dealer::Settings how;
    how.bundle = bundle;
    how.open_ended = setting_.open_ended;
    how.key = manifest.key();
    const std::int64_t size = setting_.open_ended ? std::int64_t{1} << 61 : static_cast<std::int64_t>(content.size());
    std::vector<engine::DealtWorker> dealt;
    for (const std::uint32_t worker : workers) dealt.push_back({static_cast<int>(worker), true, true});
    std::vector<std::unique_ptr<engine::Pool>> pools;
    std::vector<std::unique_ptr<engine::Holder>> holders;
    for (const std::uint32_t worker : workers) {
      // The last eight slots are a worker's; with shared memory it needs none.
      const std::span<std::byte> whole_memory(memory[worker]);
      const auto part = whole_memory.subspan(16 * slot);
      pools.push_back(std::make_unique<engine::Pool>(part, slot));
      holders.push_back(std::make_unique<engine::Holder>(fabric[static_cast<int>(worker)], *io[worker], *pools.back(),
                                                         shares[worker].get(), shares[worker].get(),
                                                         engine::Holder::Settings{0, bundle, true, 4}));
    }
    engine::Pool pool{std::span<std::byte>{memory[0]}.first(16 * slot), slot};
    engine::Dealer dealer(fabric[0], *io[0], pool, source, 0, {size, setting_.chunk, workers, setting_.parity}, dealt,
                          how, [this](std::size_t worker, const core::Cell& cell, std::int32_t error_number) {
                            told.emplace_back(workers[worker], cell.parity ? -1 - cell.number : cell.number,
                                              error_number);
                          });
    ASSERT_TRUE(run(
        [&] {
          bool busy = dealer.step();
          for (auto& holder : holders) busy = holder->step() || busy;
          return busy;
        },
        [&] {
          return dealer.done() &&
                 std::all_of(holders.begin(), holders.end(), [](const auto& holder) { return holder->done(); });
        }))
        << "nothing moves any more";
    whole = dealer.whole();
    books = dealer.books();
    counts = dealer.counts();
    EXPECT_EQ(pool.free(), pool.slots()) << "slots are lost";
    if (!whole) return;
    manifest.file.size = dealer.stripe().size();
    manifest.chunk_size = setting_.chunk;
    manifest.workers = workers;
    manifest.parity = setting_.parity;
    manifest.losses = counts.losses;
    manifest.digest = counts.digest;
    manifest.table_digest = counts.table_digest;
    const auto bytes = std::as_bytes(std::span(content));
    EXPECT_EQ(manifest.digest,
              base::close_digest(base::digest_of(bytes, 0), static_cast<std::int64_t>(content.size())));
  }

  // On `ranks` ranks, over which what is left of the shares is spread.
  void collect(int collector, bool check_only = false) {
    std::vector<MemoryShelf> shelves(static_cast<std::size_t>(setting_.ranks));
    engine::Sight sight;
    int next = 0;
    for (auto& [worker, share] : shares) {
      if (lost.contains(worker)) continue;
      MemoryShelf& shelf = shelves[static_cast<std::size_t>(next)];
      sight.shares[worker] = {{next, static_cast<std::uint32_t>(shelf.folders.size())}};
      sight.tables.push_back(sight.shares[worker][0]);
      shelf.folders.push_back(share.get());
      next = (next + 1) % setting_.ranks;
    }
    const engine::StripeClient::Settings client{payload, bundle, 4};
    std::vector<std::unique_ptr<engine::Pool>> pools;
    std::vector<std::unique_ptr<engine::StripeServer>> servers;
    for (int rank = 0; rank < setting_.ranks; ++rank) {
      const auto at = static_cast<std::size_t>(rank);
      pools.push_back(std::make_unique<engine::Pool>(std::span<std::byte>(memory[at]).first(4 * slot), slot));
      servers.push_back(std::make_unique<engine::StripeServer>(fabric[rank], *io[at], *pools.back(), shelves[at],
                                                               collector,
                                                               engine::StripeServer::Settings{payload, bundle, 0}));
    }
    const auto at = static_cast<std::size_t>(collector);
    engine::Pool pool{std::span<std::byte>{memory[at]}.subspan(4 * slot, 8 * slot), slot};
    const auto all_served = [&] {
      return std::all_of(servers.begin(), servers.end(), [](const auto& server) { return server->done(); });
    };
    const auto serve = [&](bool busy) {
      for (auto& server : servers) busy = server->step() || busy;
      return busy;
    };
    if (check_only) {
      engine::Checker checker(fabric[collector], pool, manifest, sight, client);
      ASSERT_TRUE(run([&] { return serve(checker.step()); }, [&] { return checker.done() && all_served(); }));
      losses = checker.losses();
      return;
    }
    engine::Collector::Settings settings;
    settings.end_group = manifest.stripe().groups();
    settings.wants = [](const core::Cell& cell, const core::Row&) { return !cell.parity; };
    settings.table = true;
    settings.client = client;
    engine::Collector one(fabric[collector], *io[at], pool, manifest, sight, out, settings);
    ASSERT_TRUE(run([&] { return serve(one.step()); }, [&] { return one.done() && all_served(); }))
        << "nothing moves any more";
    missing = one.missing();
    rebuilt = one.counts().rebuilt;
    damaged = one.counts().damaged;
    EXPECT_EQ(pool.free(), pool.slots());
  }

 private:
  Setting setting_;

 public:
  Fabric fabric;
  std::vector<std::uint32_t> workers;
  std::map<std::uint32_t, std::unique_ptr<MemoryShare>> shares;
  std::size_t bundle = 1;
  std::size_t payload = 0;
  std::size_t slot = 0;
  std::vector<std::vector<std::byte>> memory;
  std::vector<std::unique_ptr<engine::Workers>> io;
  std::vector<std::tuple<std::uint32_t, std::int64_t, std::int32_t>> told;
  bool whole = false;
  std::vector<engine::Dealer::Book> books;
  engine::Dealer::Counts counts;
  core::StripeManifest manifest;
  std::set<std::uint32_t> lost;
  MemoryOut out;
  std::map<std::uint32_t, engine::Missing> missing;
  std::int64_t rebuilt = 0;
  std::int64_t damaged = 0;
  int losses = 0;
};

}  // namespace argosy::test
