// A worker of a scatter: checks every chunk that it is dealt, has the I/O threads write it to its share, and
// acknowledges it, stored or not. Whatever fails, it goes on receiving and answering; what comes after a failure it
// does not try.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "core/stripe_endpoint.h"
#include "core/stripe_wire.h"
#include "core/transport.h"
#include "engine/pool.h"
#include "engine/workers.h"

namespace argosy::engine {

class Holder {
 public:
  struct Settings {
    int root = 0;
    std::size_t bundle = 1;  // as the dealer's
    bool leads = false;      // the table comes too
    std::size_t ahead_local = 16;
  };
  // All outlive the holder. `sink` is null where this rank can't take chunks: all fail then; `table` is where the table
  // goes all the same. `pool` holds what comes from a root whose memory this rank doesn't see.
  Holder(core::Transport& transport, Workers& io, Pool& pool, core::ShareSink* sink, core::ShareSink* table,
         Settings settings);
  ~Holder();
  Holder(const Holder&) = delete;
  Holder& operator=(const Holder&) = delete;

  // Starts what can be started; true when anything was.
  bool step();
  // The root has told the end, and every chunk is answered and every row written.
  bool done() const;
  // Chunks, and their bytes, that are stored.
  std::int64_t chunks() const { return chunks_; }
  std::int64_t bytes() const { return bytes_; }
  // The first failure of the share, and of the table.
  const std::optional<base::Failure>& failure() const { return failure_; }
  const std::optional<base::Failure>& table_failure() const { return table_failure_; }
  bool is_writing() const { return tasks_ > 0; }

 private:
  struct Buffer {
    std::vector<std::byte> own;       // a head whose payload is the root's memory
    std::optional<std::size_t> slot;  // a whole message
    std::uint64_t message = 0;        // the one that it is for: messages fill receives in the order of posting
    core::Transport::Ticket ticket = 0;
  };
  struct Stored {
    std::vector<core::Dealt> chunks;
    std::span<const std::byte> payload;
    std::vector<core::StripeReceipt> receipts;
    std::int64_t stored = 0;
    std::int64_t bytes = 0;
    std::optional<base::Failure> failure;
  };
  bool post_receives();
  void arrived(std::uint64_t number, std::span<const std::byte> message, std::optional<std::size_t> slot);
  void store(Stored& work) noexcept;
  void stored(const Stored& work, std::optional<std::size_t> slot);
  bool send_receipts();
  void receive_table();
  void table_arrived(std::span<const std::byte> message);

  core::Transport& transport_;
  Workers& io_;
  Pool& pool_;
  core::ShareSink* sink_;
  core::ShareSink* table_sink_;
  Settings settings_;
  bool local_;
  std::deque<std::shared_ptr<Buffer>> posted_;
  std::uint64_t messages_ = 0;
  std::atomic<std::int32_t> failed_{0};  // errno of the first failure
  std::size_t tasks_ = 0;
  std::deque<core::StripeReceipt> receipts_;
  std::vector<std::byte> receipt_bytes_;
  bool receipt_under_way_ = false;
  std::optional<core::Transport::Ticket> table_ticket_;
  std::vector<std::byte> table_;
  std::int64_t table_rows_ = 0;
  std::optional<std::int64_t> rows_;  // once the end is told; -1: given up
  std::int64_t chunks_ = 0;
  std::int64_t bytes_ = 0;
  std::optional<base::Failure> failure_;
  std::optional<base::Failure> table_failure_;
};

}  // namespace argosy::engine
