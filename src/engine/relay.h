// The chunks' way through one rank: receives those that pass it, hands them to whom the route says, and gives each slot
// back when every use of it is over. Of what is in a chunk it looks only at whether the stream ends.
//
// Each lane has slots of its own, so that one that is full never stops another (route.h).
//
// Between ranks of a node that see one another's memory only a reference travels; the neighbour works straight out of
// the lender's slot and says when it is done. Between nodes the whole message travels into a slot of the receiver. A
// posted receive is the credit: a sender's message waits in its own slot until the receiver has one free.
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
#include "engine/link_meter.h"
#include "engine/pacer.h"
#include "engine/pool.h"

namespace argosy::engine {

// A chunk's message in memory. The last owner's destruction, on the main thread, gives the slot back, to this rank's
// pool or to the neighbour that lent it.
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
  bool own = false;  // this rank put it in: its bytes have not travelled
};

class Relay {
 public:
  struct Settings {
    int in_flight = 2;         // messages under way to other nodes, all together: more of them only delay each
    int in_flight_local = 16;  // references under way to a neighbour on this node
    int held_most = 16;        // a lender's slots that this rank holds before it copies to its own
    std::int64_t bwlimit = 0;  // bytes a second out of this rank, 0: no limit
    bool limit_local = true;   // it holds for what stays on the node, too
  };
  // All of them outlive the relay. `pools` has one for each lane of the route, for what comes from other nodes.
  // `arrived` is called for each chunk that this rank gets, and where it is a destination for those that it puts in.
  Relay(core::Transport& transport, const core::Route& route, std::vector<Pool>& pools, Settings settings,
        std::function<void(Arrival)> arrived);
  ~Relay();
  Relay(const Relay&) = delete;
  Relay& operator=(const Relay&) = delete;

  // This rank puts in chunk `chunk`: the first `bytes` bytes of `slot` of `pool` hold its message, `last` says that it
  // ends the stream. The slot is the relay's from now on.
  void put(std::uint64_t chunk, Pool& pool, std::size_t slot, std::size_t bytes, bool last);
  // Posts receives and starts what may be sent now; true when anything was started.
  bool step();
  // The bandwidth limit holds no more: what is left is to be over soon.
  void hurry() { pacer_.hurry(); }
  // Nothing waits to be sent, is being sent, or is lent.
  bool idle() const;
  // A chunk waits for another node to take it.
  bool has_backlog() const;
  // Notes that the links to other nodes with a message under way were busy for `seconds` more.
  void add_busy(double seconds);
  // The links to other nodes, by rank.
  const std::map<int, LinkMeter>& meters() const { return meters_; }
  // The stream's end has come, and every chunk before it.
  bool has_all() const;
  // The first rank that this one waits for to take a chunk, or core::kNobody.
  int waits_for() const;

 private:
  // One neighbour's side of one lane: what it is handed, in its order.
  struct Link {
    int peer = 0;
    int lane = 0;
    bool local = false;
    int in_flight = 0;                          // messages to another node
    std::uint64_t nth = 0;                      // of the peer's incoming chunks: the next that is ours to send
    std::map<std::uint64_t, MessageUse> ready;  // by chunk
    std::map<std::uint64_t, MessageUse> lent;
    std::vector<std::byte> release_buffer;
    std::optional<core::Transport::Ticket> release_receive;
  };
  struct Posted {
    core::Transport::Ticket ticket = 0;
    std::optional<std::size_t> slot;   // of a message from another node
    std::vector<std::byte> reference;  // of one on this node
  };
  struct Lane {
    std::uint64_t nth = 0;  // of this rank's incoming chunks: the next to be posted
    std::map<std::uint64_t, Posted> posted;
  };
  bool post_receives(int lane);
  bool post_receive(int lane, core::Hop hop);
  std::optional<std::uint64_t> next_for(Link& link) const;
  bool start_sends();
  void start_send(Link& link, std::uint64_t chunk);
  void queue(const MessageUse& message);
  void deliver(std::uint64_t chunk, MessageUse message);
  void reference_arrived(int lane, core::Hop hop, std::span<const std::byte> reference);
  void end_at(std::uint64_t length);
  void send_release(int to, std::uint64_t chunk);
  void receive_release(Link& link);
  bool is_local(int peer) const { return !transport_.memory_of(peer).empty(); }

  core::Transport& transport_;
  const core::Route& route_;
  std::vector<Pool>& pools_;
  Settings settings_;
  std::function<void(Arrival)> arrived_;
  int me_;
  bool takes_;  // what it puts in, too
  std::vector<Lane> lanes_;
  std::map<std::pair<int, int>, Link> links_;  // by peer and lane
  std::map<int, LinkMeter> meters_;            // by peer
  int in_flight_ = 0;                          // to other nodes
  int held_ = 0;                               // slots of lenders
  std::uint64_t length_ = UINT64_MAX;          // of the stream, once known
  Pacer pacer_;
};

}  // namespace argosy::engine
