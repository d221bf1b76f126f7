#include "simulate/cluster.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <limits>
#include <map>
#include <stdexcept>
#include <utility>
#include <vector>

namespace argosy::simulate {

namespace {

using Time = std::int64_t;  // picoseconds

constexpr std::size_t kLanes = 2;

Time time_of(double seconds) { return static_cast<Time>(std::llround(seconds * 1e12)); }

// A chunk that waits at `holder` for its way to `to`.
struct Message {
  std::uint64_t chunk = 0;
  int to = 0;
  std::size_t lane = 0;
  bool in_flight = false;  // has one of the card's places
  bool matched = false;    // has a slot at the receiver, since:
  Time matched_at = 0;
  bool on_wire = false;
};

struct Held {
  std::uint64_t chunk = 0;
  std::size_t lane = 0;
  bool own = false;
  std::size_t uses = 0;
};

struct Lane {
  core::Hop next;             // what the next receive is for
  bool expects = false;       // anything at all
  std::uint64_t matched = 0;  // receives that a message was found for
  int used = 0;               // slots in transit
  int own_used = 0;
};

struct Node {
  std::vector<Message> waiting;
  std::vector<Held> held;
  std::array<Lane, kLanes> lanes;
  std::vector<std::uint64_t> own;  // the chunks that it puts in
  std::size_t next_own = 0;
  int in_flight = 0;
  int sends = 0;
  int receives = 0;
  int slots = 0;
  std::uint64_t got = 0;
  bool touched = false;
};

struct Arrival {
  int from = 0;
  int to = 0;
  std::size_t lane = 0;
  std::uint64_t chunk = 0;
};

class Simulation {
 public:
  Simulation(const core::Route& route, const Cluster& cluster, std::int64_t bytes, std::int64_t chunk)
      : route_(route),
        cluster_(cluster),
        bytes_(bytes),
        chunk_(chunk),
        length_(route.stream_length(static_cast<std::uint64_t>(std::max<std::int64_t>(0, (bytes - 1) / chunk)))),
        alpha_(time_of(cluster.alpha_seconds)),
        nodes_(static_cast<std::size_t>(cluster.nodes)) {
    if (cluster.rack_nodes > 0) {
      const int racks = (cluster.nodes + cluster.rack_nodes - 1) / cluster.rack_nodes;
      up_.resize(static_cast<std::size_t>(racks));
      down_.resize(static_cast<std::size_t>(racks));
      uplink_ = std::max(1, static_cast<int>(cluster.rack_nodes / cluster.oversubscription));
    }
    for (std::uint64_t k = 0; k < length_; ++k) node(route.origin(k)).own.push_back(k);
    for (int rank = 0; rank < cluster.nodes; ++rank) {
      for (std::size_t lane = 0; lane < static_cast<std::size_t>(route.lanes()); ++lane) expect(rank, lane);
    }
  }

  Outcome run() {
    for (int rank = 0; rank < cluster_.nodes; ++rank) touch(rank);
    advance_touched();
    while (!events_.empty()) {
      const auto batch = events_.extract(events_.begin());
      now_ = batch.key();
      // All that ends now makes room before anything takes it.
      for (const Arrival& arrival : batch.mapped()) arrive(arrival);
      advance_touched();
    }
    for (const Node& node : nodes_) {
      if (node.got + node.own.size() != length_ || !node.held.empty()) throw std::logic_error("the route came to a stop");
    }
    outcome_.seconds = static_cast<double>(now_) * 1e-12;
    return outcome_;
  }

 private:
  Node& node(int rank) { return nodes_[static_cast<std::size_t>(rank)]; }

  void touch(int rank) {
    if (rank == core::kNobody || std::exchange(node(rank).touched, true)) return;
    touched_.push_back(rank);
  }

  void advance_touched() {
    for (std::size_t i = 0; i < touched_.size(); ++i) {
      node(touched_[i]).touched = false;
      advance(touched_[i]);
    }
    touched_.clear();
  }

  void expect(int rank, std::size_t number) {
    Lane& lane = node(rank).lanes[number];
    const auto hop = route_.incoming(rank, static_cast<int>(number), lane.matched);
    lane.expects = hop.has_value();
    lane.next = hop.value_or(core::Hop{});
  }

  // Whoever hands chunks to `rank` may find room there now.
  void touch_senders(int rank) {
    // Where two compete, the lane that has been waited for longer goes first.
    auto& lanes = node(rank).lanes;
    const bool second_first = lanes[1].expects && lanes[1].matched < lanes[0].matched;
    touch(lanes[second_first ? 1 : 0].next.from);
    touch(lanes[second_first ? 0 : 1].next.from);
  }

  void hold(int rank, std::uint64_t chunk, std::size_t lane, bool own) {
    Node& at = node(rank);
    const std::vector<int> to = route_.to(rank, chunk);
    if (own) {
      ++at.slots;
      ++at.lanes[lane].own_used;
      outcome_.peak_slots = std::max(outcome_.peak_slots, at.slots);
    }
    at.held.push_back({chunk, lane, own, to.size()});
    for (const int next : to) at.waiting.push_back({.chunk = chunk, .to = next, .lane = lane});
    if (to.empty()) release(rank, at.held.size() - 1);
  }

  void release(int rank, std::size_t place) {
    Node& at = node(rank);
    Lane& lane = at.lanes[at.held[place].lane];
    --(at.held[place].own ? lane.own_used : lane.used);
    --at.slots;
    at.held.erase(at.held.begin() + static_cast<std::ptrdiff_t>(place));
    touch_senders(rank);
  }

  void arrive(const Arrival& arrival) {
    Node& from = node(arrival.from);
    --from.sends;
    --from.in_flight;
    const auto message = std::find_if(from.waiting.begin(), from.waiting.end(), [&](const Message& waiting) {
      return waiting.on_wire && waiting.chunk == arrival.chunk && waiting.to == arrival.to;
    });
    from.waiting.erase(message);
    const auto held = std::find_if(from.held.begin(), from.held.end(),
                                   [&](const Held& chunk) { return chunk.chunk == arrival.chunk; });
    if (--held->uses == 0) release(arrival.from, static_cast<std::size_t>(held - from.held.begin()));
    touch(arrival.from);

    Node& to = node(arrival.to);
    --to.receives;
    ++to.got;
    ++outcome_.messages;
    hold(arrival.to, arrival.chunk, arrival.lane, false);
    touch(arrival.to);
    touch_senders(arrival.to);
    if (crosses_racks(arrival.from, arrival.to)) leave_uplinks(arrival.from, arrival.to);
  }

  // Puts in own chunks, matches messages with receives and starts what may start at `rank` now.
  void advance(int rank) {
    Node& at = node(rank);
    while (at.next_own < at.own.size()) {
      const std::uint64_t chunk = at.own[at.next_own];
      const auto lane = static_cast<std::size_t>(route_.lane(chunk));
      if (at.lanes[lane].own_used == cluster_.own_slots) break;
      ++at.next_own;
      hold(rank, chunk, lane, true);
    }
    for (Message& message : at.waiting) {
      if (!message.matched) match(rank, message);
      if (message.matched && !message.on_wire && at.sends == 0) start(rank, message);
    }
  }

  void match(int rank, Message& message) {
    Node& at = node(rank);
    Lane& lane = node(message.to).lanes[message.lane];
    if (lane.next.from != rank || lane.next.chunk != message.chunk) return;  // others go before it
    if (!message.in_flight) {
      if (at.in_flight == cluster_.in_flight) return;
      message.in_flight = true;
      ++at.in_flight;
    }
    if (lane.used == cluster_.slots) return;
    message.matched = true;
    message.matched_at = now_;
    ++lane.used;
    ++lane.matched;
    expect(message.to, message.lane);
    outcome_.peak_slots = std::max(outcome_.peak_slots, ++node(message.to).slots);
  }

  void start(int rank, Message& message) {
    Node& to = node(message.to);
    if (to.receives > 0 || !enter_uplinks(rank, message.to)) return;
    message.on_wire = true;
    outcome_.peak_sends = std::max(outcome_.peak_sends, ++node(rank).sends);
    outcome_.peak_receives = std::max(outcome_.peak_receives, ++to.receives);
    const bool slow = rank == cluster_.slow_node || message.to == cluster_.slow_node;
    const double rate = cluster_.bytes_per_second * (slow ? cluster_.slow_share : 1);
    const Time end = std::max(now_, message.matched_at + alpha_) + time_of(static_cast<double>(bytes_of(message.chunk)) / rate);
    events_[end].push_back({rank, message.to, message.lane, message.chunk});
  }

  std::int64_t bytes_of(std::uint64_t chunk) const {
    return std::clamp<std::int64_t>(bytes_ - static_cast<std::int64_t>(chunk) * chunk_, 0, chunk_);
  }

  bool crosses_racks(int from, int to) const {
    return cluster_.rack_nodes > 0 && from / cluster_.rack_nodes != to / cluster_.rack_nodes;
  }

  // A rack's uplink carries as many messages at once, a direction, as it has cards' rates.
  bool enter_uplinks(int from, int to) {
    if (!crosses_racks(from, to)) return true;
    int& up = up_[static_cast<std::size_t>(from / cluster_.rack_nodes)];
    int& down = down_[static_cast<std::size_t>(to / cluster_.rack_nodes)];
    if (up == uplink_ || down == uplink_) return false;
    ++up;
    ++down;
    return true;
  }

  void leave_uplinks(int from, int to) {
    const int up = from / cluster_.rack_nodes;
    const int down = to / cluster_.rack_nodes;
    --up_[static_cast<std::size_t>(up)];
    --down_[static_cast<std::size_t>(down)];
    const auto end_of = [this](int rack) { return std::min((rack + 1) * cluster_.rack_nodes, cluster_.nodes); };
    for (int rank = up * cluster_.rack_nodes; rank < end_of(up); ++rank) touch(rank);
    for (int rank = down * cluster_.rack_nodes; rank < end_of(down); ++rank) touch_senders(rank);
  }

  const core::Route& route_;
  const Cluster& cluster_;
  std::int64_t bytes_;
  std::int64_t chunk_;
  std::uint64_t length_;
  Time alpha_;
  Time now_ = 0;
  std::vector<Node> nodes_;
  std::vector<int> touched_;
  std::vector<int> up_;
  std::vector<int> down_;
  int uplink_ = 0;
  // By time: cards that work in step end at the same moment, so there are few different ones.
  std::map<Time, std::vector<Arrival>> events_;
  Outcome outcome_;
};

}  // namespace

Outcome simulate(const core::Route& route, const Cluster& cluster, std::int64_t bytes, std::int64_t chunk) {
  return Simulation(route, cluster, bytes, chunk).run();
}

}  // namespace argosy::simulate
