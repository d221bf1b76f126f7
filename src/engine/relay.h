// The chunk lane of one rank: receives the chunks that pass it, hands them to whom the route says, and gives each slot back
// when every use of it is over. It does not know what is in a chunk.
//
// Between ranks of a node that see one another's memory only a reference travels; the neighbour works straight out of the
// lender's slot and says when it is done. Between nodes the whole message travels into a slot of the receiver. A posted
// receive is the credit: a sender's message waits in its own slot until the receiver has one free.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/chunk.h"
#include "core/route.h"
#include "core/transport.h"
#include "engine/pool.h"

namespace argosy::engine {

// A chunk's message in memory. The last owner's destruction, on the main thread, gives the slot back, to this rank's pool or
// to the neighbour that lent it.
class Message {
 public:
  Message(std::uint64_t chunk, std::span<const std::byte> bytes, std::function<void()> give_back)
      : chunk_(chunk), bytes_(bytes), give_back_(std::move(give_back)) {}
  ~Message() { give_back_(); }
  Message(const Message&) = delete;
  Message& operator=(const Message&) = delete;

  std::uint64_t chunk() const { return chunk_; }
  std::span<const std::byte> bytes() const { return bytes_; }

 private:
  std::uint64_t chunk_;
  std::span<const std::byte> bytes_;
  std::function<void()> give_back_;
};
using MessageUse = std::shared_ptr<const Message>;

// A chunk that has come: `view` is empty where it is damaged, and `why` says how.
struct Arrival {
  MessageUse message;
  std::optional<core::ChunkView> view;
  std::string why;
};

class Relay {
 public:
  struct Settings {
    int in_flight = 2;         // messages under way to one other node (BASELINES: more only delays each)
    int in_flight_local = 16;  // references under way to a neighbour on this node
    std::int64_t bwlimit = 0;  // bytes a second out of this rank, 0: no limit
  };
  // All of them outlive the relay. `arrived` is called for each chunk handed to this rank, in order of their receives.
  Relay(core::Transport& transport, const core::Route& route, Pool& pool, Settings settings,
        std::function<void(Arrival)> arrived);
  ~Relay();
  Relay(const Relay&) = delete;
  Relay& operator=(const Relay&) = delete;

  // This rank puts in chunk `chunk`: the first `bytes` bytes of `slot` hold its message. The slot is the relay's from now on.
  void put(std::uint64_t chunk, std::size_t slot, std::size_t bytes);
  // Posts receives and starts what may be sent now; true when anything was started.
  bool step();
  // Nothing waits to be sent, is being sent, or is lent.
  bool idle() const;
  // The stream is over for this rank: no receive stays posted.
  void close();
  // The first rank that this one waits for to take a chunk, or core::kNobody.
  int waits_for() const;

 private:
  struct Link {
    int peer = 0;
    bool local = false;
    int in_flight = 0;
    std::deque<MessageUse> waiting;
    std::map<std::uint64_t, MessageUse> lent;
    std::vector<std::byte> release_buffer;
    std::optional<core::Transport::Ticket> release_receive;
  };
  struct Posted {
    core::Transport::Ticket ticket = 0;
    std::optional<std::size_t> slot;      // of a message from another node
    std::vector<std::byte> reference;  // of one on this node
  };
  bool post_receives();
  bool post_receive(int from, std::uint64_t chunk);
  bool start_sends();
  void start_send(Link& link);
  bool may_send_now(std::size_t bytes);
  void deliver(std::uint64_t chunk, MessageUse message);
  void lend_arrived(std::uint64_t chunk, int from, std::span<const std::byte> reference);
  void send_release(int to, std::uint64_t chunk);
  void receive_release(Link& link);
  Link& link_to(int peer);
  bool is_local(int peer) const { return !transport_.memory_of(peer).empty(); }

  core::Transport& transport_;
  const core::Route& route_;
  Pool& pool_;
  Settings settings_;
  std::function<void(Arrival)> arrived_;
  int me_;
  bool closed_ = false;
  std::uint64_t next_receive_ = 0;
  std::map<std::uint64_t, Posted> posted_;
  std::map<int, Link> links_;
  std::chrono::steady_clock::time_point send_allowed_;
};

}  // namespace argosy::engine
