// Asks ranks for chunks of a stripe, and hands out what comes. Small chunks are asked for many at a time; how much is
// asked for ahead is bounded by the slots, which hold the replies.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/stripe_wire.h"
#include "core/transport.h"
#include "engine/pool.h"

namespace argosy::engine {

class StripeClient {
 public:
  struct Settings {
    std::size_t payload = 0;  // as the servers'
    std::size_t bundle = 1;
    std::size_t most = 8;  // requests without a reply
  };
  struct Answer {
    int error_number = 0;
    std::span<const std::byte> bytes;  // of kRead and kTable
    std::shared_ptr<const void> use;   // keeps `bytes`
  };
  using Handler = std::function<void(Answer)>;

  // Both outlive the client.
  StripeClient(core::Transport& transport, Pool& pool, Settings settings);
  ~StripeClient();
  StripeClient(const StripeClient&) = delete;
  StripeClient& operator=(const StripeClient&) = delete;

  // Whether ask() may be called for `rank` now.
  bool has_room(int rank, core::Ask ask) const;
  // `handler` is called out of the transport's poll().
  void ask(int rank, core::Ask ask, const core::Wanted& wanted, Handler handler);
  // Sends what has been asked and waits for company; true when that was anything.
  bool flush();
  // Tells every rank that no more is asked.
  void end();
  bool idle() const { return open_.empty() && unanswered_.empty() && sends_ == 0; }
  // A rank that owes a reply, or core::kNobody.
  int waits_for() const;

 private:
  struct Batch {
    core::Request request;
    std::vector<Handler> handlers;
    std::size_t bytes = 0;
  };
  struct Posted {
    int rank = 0;
    core::Transport::Ticket ticket = 0;
    std::size_t slot = 0;
  };
  using Key = std::pair<int, core::Ask>;
  bool fits(const Batch& batch) const;
  void send(Key key);
  void arrived(int from, std::uint64_t receive, std::size_t bytes);

  core::Transport& transport_;
  Pool& pool_;
  Settings settings_;
  std::map<Key, Batch> open_;
  std::map<std::uint64_t, std::pair<int, Batch>> unanswered_;  // by request
  std::map<std::uint64_t, Posted> posted_;                     // by receive
  std::uint64_t next_ = 0;
  std::size_t sends_ = 0;
};

}  // namespace argosy::engine
