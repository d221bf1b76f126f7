// The way of fetched chunks from whoever fetched them to those who write them, the members. A chunk enters through one
// member, its fetcher's home, and goes around the ring of members until all have it; with one member that is all.
//
// The ring of core/ring.h has all orders fixed, since each rank's part of the source is known beforehand. Here ranks
// put in what they happen to get, so nothing is known beforehand, and what prevents a deadlock is bubble flow control
// (V. Puente et al., The Adaptive Bubble Router, J. Parallel and Distributed Computing 61 (2001)): a member's slots for
// chunks in transit are known to its predecessor as credits; a chunk in transit takes one of them, and a chunk enters
// the ring only where it leaves another one. So there is always a free slot somewhere in the ring, and what stands
// before it can move. Chunks in transit go first.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <vector>

#include "core/transport.h"
#include "engine/pacer.h"
#include "engine/pool.h"
#include "engine/relay.h"

namespace argosy::command {

class Delivery {
 public:
  struct Settings {
    std::vector<int> members;
    std::vector<int> homes;    // for each rank, an index into `members`
    std::size_t credits = 0;   // the successor's slots for chunks in transit
    std::int64_t bwlimit = 0;  // bytes a second out of this rank, 0: no limit
  };
  // All outlive it. `entering` has the slots for chunks from ranks that are no members, `transit` those for chunks of
  // the predecessor. `arrived` gets every chunk that comes to this member, its own included, out of poll() or put().
  Delivery(core::Transport& transport, Settings settings, engine::Pool& entering, engine::Pool& transit,
           std::function<void(const engine::MessageUse&)> arrived);
  ~Delivery();
  Delivery(const Delivery&) = delete;
  Delivery& operator=(const Delivery&) = delete;

  // A chunk that this rank has fetched.
  void put(engine::MessageUse message);
  // Starts what can be started; true when anything was.
  bool step();
  // There will be no more than so many chunks, by the member through which they enter.
  void expect(const std::vector<std::uint64_t>& counts) { expected_ = counts; }
  // All that was expected has come and gone on.
  bool done() const;
  void hurry() { pacer_.hurry(); }
  // The rank that this one waits for, or core::kNobody.
  int waits_for() const;
  double busy() const { return busy_; }
  void sample(double passed);
  int successor() const;

 private:
  bool listen();
  void enter(const engine::MessageUse& message);
  void receive_credits();
  void give_credit();
  void send(int to, core::Tag tag, const engine::MessageUse& message);
  bool is_member() const { return position_ >= 0; }

  core::Transport& transport_;
  Settings settings_;
  engine::Pool& entering_;
  engine::Pool& transit_;
  std::function<void(const engine::MessageUse&)> arrived_;
  int position_ = -1;  // in the ring
  int members_ = 0;
  std::size_t credits_ = 0;
  std::deque<engine::MessageUse> passing_;  // to the successor, or to this rank's home
  std::deque<engine::MessageUse> own_;      // to enter the ring
  int in_flight_ = 0;
  std::map<std::size_t, core::Transport::Ticket> entering_posted_;  // by slot
  std::map<std::size_t, core::Transport::Ticket> transit_posted_;
  std::vector<std::byte> credit_buffer_;
  std::optional<core::Transport::Ticket> credit_receive_;
  std::uint32_t credits_to_give_ = 0;
  bool giving_ = false;
  std::uint64_t entered_ = 0;
  std::uint64_t passed_ = 0;
  std::vector<std::uint64_t> expected_;
  engine::Pacer pacer_;
  double busy_ = 0;
};

}  // namespace argosy::command
