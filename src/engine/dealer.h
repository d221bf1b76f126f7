// The root of a scatter: reads a file in order, makes its parity, deals the chunks to the workers, and books every
// receipt. A chunk's slot is given back once its worker has acknowledged it; until then it can be dealt to another.
//
// Where a worker fails a chunk, that chunk and the rest of its share are dealt to the others, preferably to one that
// has none of the chunk's group. What it has acknowledged before stays where it is. The table, one row a chunk, says
// who has what; its rows go to every folder's leader as soon as all before them are acknowledged, so that no rank holds
// it.
//
// Each message carries chunks for one worker: one, or many where they are small. To a neighbour that sees this rank's
// memory only the head travels.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/digest.h"
#include "base/error.h"
#include "core/endpoint.h"
#include "core/erasure.h"
#include "core/stripe.h"
#include "core/stripe_manifest.h"
#include "core/stripe_wire.h"
#include "core/transport.h"
#include "engine/pacer.h"
#include "engine/pool.h"
#include "engine/workers.h"

namespace argosy::engine {

// A worker as the root sees it.
struct DealtWorker {
  int rank = 0;
  bool live = true;    // it can take chunks
  bool leads = false;  // it writes its folder's table
};

class Dealer {
 public:
  struct Settings {
    std::size_t bundle = 1;  // chunks in a message, at most kMostBundled
    std::size_t ahead = 8;   // messages being read or waiting to be sent
    int in_flight = 2;       // messages under way to other nodes, all together
    int window = 4;          // messages that a worker on another node has not answered
    int window_local = 16;   // the same on this node
    std::int64_t bwlimit = 0;
    std::uint64_t key = 0;  // of the table's rows
    bool open_ended = false;
  };
  // What the receipts have added up to.
  struct Counts {
    std::int64_t bytes_read = 0;
    std::int64_t stored = 0;  // bytes acknowledged, parity included
    std::int64_t moved = 0;   // rows that are not where the rule puts them
    int losses = 0;           // see StripeManifest
    base::Digest digest;
    base::Digest table_digest;
  };
  struct Book {
    std::int64_t acknowledged = 0;
    std::int64_t failed = 0;
    std::int32_t error_number = 0;  // of the first failure
  };
  // All outlive the dealer. `workers` are in dealing order, `stripe` with their ranks; where the source is open-ended
  // its size is the most that may come. `told` is called for every receipt, with the worker's place in `workers`.
  Dealer(core::Transport& transport, Workers& io, Pool& pool, core::Source& source, std::uint64_t entry,
         core::Stripe stripe, const std::vector<DealtWorker>& workers, Settings settings,
         std::function<void(std::size_t worker, const core::Cell& cell, std::int32_t error_number)> told);
  ~Dealer();
  Dealer(const Dealer&) = delete;
  Dealer& operator=(const Dealer&) = delete;

  // Starts what can be started; true when anything was. Throws base::Error when a peer breaks the protocol.
  bool step();
  bool done() const { return ended_ && sends_ == 0; }
  // The stripe is given up: what has not been read never will be.
  void stop();

  // Once done: every chunk is where the table says, and the source has not changed.
  bool whole() const { return whole_; }
  const core::Stripe& stripe() const { return stripe_; }
  const Counts& counts() const { return counts_; }
  const std::vector<Book>& books() const { return books_; }
  // Of the source.
  const std::optional<base::Failure>& failure() const { return failure_; }
  // The rank that this one waits for, and for what.
  std::pair<int, std::string> waits_for() const;

 private:
  static constexpr std::size_t kNoHolder = SIZE_MAX;
  struct Chunk {
    std::int64_t row = 0;
    core::Cell cell;
    std::uint32_t at = 0;
    base::Digest digest;
    std::size_t holder = kNoHolder;  // the worker that it is for, and
    std::uint64_t position = 0;      // where it goes in that one's share
    int damaged = 0;                 // how often it arrived so
    bool answered = false;
  };
  // A message and what has become of it.
  struct Parcel {
    std::size_t slot = 0;
    std::size_t payload = 0;
    std::vector<Chunk> chunks;
    std::size_t unanswered = 0;
    std::vector<Chunk> again;
    bool sent = false;
  };
  using ParcelUse = std::shared_ptr<Parcel>;
  struct Peer {
    DealtWorker worker;
    bool local = false;
    std::deque<ParcelUse> ready;
    std::map<std::uint64_t, ParcelUse> unanswered;  // by message
    std::uint64_t messages = 0;
    std::uint64_t positions = 0;
    std::vector<std::byte> receipts;
    std::optional<core::Transport::Ticket> ticket;
  };
  // The parity of a group while its data is read.
  struct Sums {
    std::int64_t group = 0;
    std::vector<std::size_t> slots;
    std::vector<std::byte*> bytes;
    std::vector<Chunk> chunks;  // placed once the group's data is
    std::mutex mutex;
    bool zeroed = false;
    int added = 0;
  };
  struct Filled {
    std::int64_t bytes = 0;
    bool end = false;
    std::vector<std::pair<std::size_t, ParcelUse>> parcels;  // with the worker of the rule
    std::vector<std::size_t> unused;
    std::optional<base::Failure> failure;
  };

  bool fill();
  bool may_fill() const;
  bool fill_one();
  bool fill_band();
  void read_one(Chunk one, std::size_t slot, Sums* sums, Filled& filled);
  void read_band(std::int64_t group, std::int64_t groups, const std::vector<std::size_t>& slots, Filled& filled);
  std::size_t read(std::int64_t offset, std::span<std::byte> into);
  void filled(Filled& filled);
  Chunk chunk_at(std::int64_t row);
  void place(Chunk& chunk, std::size_t worker);
  void place_parity(Sums& sums);
  void finish_sums(const std::shared_ptr<Sums>& sums);
  void size_known(std::int64_t size);
  std::size_t place_in_order(std::uint32_t rank) const;
  std::size_t choose(std::size_t by_rule, std::int64_t group);
  void queue(std::size_t worker, ParcelUse parcel);
  bool send_ready();
  void send(std::size_t worker);
  void receive(std::size_t worker);
  void received(std::size_t worker, const core::StripeReceipt& receipt);
  void answer(std::size_t worker, Chunk& chunk, Parcel& parcel, std::int32_t error_number);
  void settle(std::size_t worker, std::uint64_t message);
  void worker_failed(std::size_t worker, std::int32_t error_number);
  void give_up();
  void stored(std::size_t worker, const Chunk& chunk);
  void flush_rows();
  void send_page();
  bool close();
  void send_end();
  std::byte* payload(std::size_t slot) const;
  std::size_t live() const;
  bool idle() const;

  core::Transport& transport_;
  Workers& io_;
  Pool& pool_;
  core::Source& source_;
  std::uint64_t entry_;
  core::Stripe stripe_;
  Settings settings_;
  std::function<void(std::size_t, const core::Cell&, std::int32_t)> told_;
  std::optional<core::Combination> encoder_;
  bool aligned_;  // the chunks' digests add up to the file's
  bool serial_;   // one read at a time
  base::DigestStream stream_;
  base::Digest sum_;
  Pacer pacer_;

  std::deque<Peer> peers_;  // addresses stay
  std::vector<Book> books_;
  std::int64_t next_chunk_ = 0;
  bool all_read_ = false;
  std::size_t reading_ = 0;
  std::size_t waiting_ = 0;  // parcels that no worker has yet
  std::map<std::int64_t, std::shared_ptr<Sums>> sums_;
  std::size_t adopter_ = 0;
  int in_flight_ = 0;
  std::size_t sends_ = 0;

  std::map<std::int64_t, core::Row> rows_;  // acknowledged, and some before them are not
  std::int64_t next_row_ = 0;
  std::vector<std::uint32_t> holders_;  // of the group whose rows are being flushed
  std::vector<std::byte> page_;
  std::int64_t page_first_ = 0;
  std::size_t page_sends_ = 0;
  base::Digest table_sum_;

  bool stopped_ = false;
  bool closing_ = false;
  bool closed_ = false;
  bool ended_ = false;
  bool whole_ = false;
  Counts counts_;
  std::optional<base::Failure> failure_;
};

}  // namespace argosy::engine
