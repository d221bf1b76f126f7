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

constexpr double kASecond = 1e12;
constexpr std::size_t kLanes = 2;
constexpr std::size_t kNone = std::numeric_limits<std::size_t>::max();

constexpr std::size_t at(int number) { return static_cast<std::size_t>(number); }

// A chunk that is to go to `to`.
struct Message {
  std::uint64_t chunk = 0;
  int to = 0;
  std::size_t lane = 0;
  bool in_flight = false;  // has one of the card's places
  bool let_in = false;     // has a slot at the receiver
  bool flows = false;
  Time ready = 0;  // once let in: when its alpha has passed
};

// A message whose bytes flow.
struct Flow {
  int from = 0;
  int to = 0;
  std::size_t lane = 0;
  std::uint64_t chunk = 0;
  double left = 0;  // time that it would take alone on both cards, as of
  Time since = 0;
  double share = 0;  // of the cards' rate
  Time end = 0;
  bool active = false;
};

// Either a flow ends, unless it turned out since that it ends at another time, or a rank has a message that is ready.
struct Event {
  std::size_t flow = kNone;
  int rank = 0;
};

struct Held {
  std::uint64_t chunk = 0;
  std::size_t lane = 0;
  bool own = false;
  std::size_t uses = 0;
};

struct Lane {
  core::Hop next;            // what is let in next
  std::uint64_t let_in = 0;  // how many were
  int used = 0;              // slots
  int own_used = 0;
};

struct Node {
  std::vector<Message> waiting;
  std::vector<Held> held;
  std::array<Lane, kLanes> lanes;
  std::vector<std::uint64_t> own;  // the chunks that it puts in
  std::size_t next_own = 0;
  int in_flight = 0;
  std::vector<std::size_t> sends;  // flows
  std::vector<std::size_t> receives;
  int slots = 0;
  std::uint64_t got = 0;
  bool touched = false;
};

class Simulation {
 public:
  Simulation(const core::Route& route, const Cluster& cluster, std::int64_t bytes, std::int64_t chunk)
      : route_(route),
        cluster_(cluster),
        bytes_(bytes),
        chunk_(chunk),
        length_(route.stream_length(static_cast<std::uint64_t>(std::max<std::int64_t>(0, (bytes - 1) / chunk)))),
        alpha_(std::llround(cluster.alpha_seconds * kASecond)),
        nodes_(at(cluster.nodes)) {
    if (cluster.rack_nodes > 0) {
      leaving_.resize(at((cluster.nodes - 1) / cluster.rack_nodes + 1));
      entering_.resize(leaving_.size());
    }
    for (std::uint64_t k = 0; k < length_; ++k) node(route.origin(k)).own.push_back(k);
    for (int rank = 0; rank < cluster.nodes; ++rank) {
      for (int lane = 0; lane < route.lanes(); ++lane) expect_next(rank, at(lane));
    }
  }

  Outcome run() {
    for (int rank = 0; rank < cluster_.nodes; ++rank) touch(rank);
    advance_touched();
    while (!events_.empty()) {
      const auto batch = events_.extract(events_.begin());
      now_ = batch.key();
      // All that ends now makes room before anything takes it.
      for (const Event& event : batch.mapped()) {
        if (event.flow == kNone) {
          touch(event.rank);
        } else if (flows_[event.flow].active && flows_[event.flow].end == now_) {
          end(event.flow);
        }
      }
      advance_touched();
    }
    for (const Node& node : nodes_) {
      if (node.got + node.own.size() != length_) throw std::logic_error("the route came to a stop");
    }
    outcome_.seconds = static_cast<double>(now_) / kASecond;
    return outcome_;
  }

 private:
  Node& node(int rank) { return nodes_[at(rank)]; }

  // The rank may be able to do something now.
  void touch(int rank) {
    if (rank == core::kNobody || std::exchange(node(rank).touched, true)) return;
    touched_.push_back(rank);
  }

  // Whoever hands chunks to `rank` may find room there now: first on the lane that got less.
  void touch_senders(int rank) {
    const auto& lanes = node(rank).lanes;
    const std::size_t first = lanes[1].let_in < lanes[0].let_in ? 1 : 0;
    touch(lanes[first].next.from);
    touch(lanes[1 - first].next.from);
  }

  void advance_touched() {
    for (std::size_t i = 0; i < touched_.size(); ++i) {
      node(touched_[i]).touched = false;
      advance(touched_[i]);
    }
    touched_.clear();
  }

  void expect_next(int rank, std::size_t number) {
    Lane& lane = node(rank).lanes[number];
    lane.next = route_.incoming(rank, static_cast<int>(number), lane.let_in).value_or(core::Hop{});
  }

  // The rank has the chunk, in a slot.
  void hold(int rank, std::uint64_t chunk, std::size_t lane, bool own) {
    Node& holder = node(rank);
    const std::vector<int> to = route_.to(rank, chunk);
    holder.held.push_back({chunk, lane, own, to.size()});
    for (const int next : to) holder.waiting.push_back({.chunk = chunk, .to = next, .lane = lane});
    if (to.empty()) release(rank, holder.held.size() - 1);
  }

  void release(int rank, std::size_t place) {
    Node& holder = node(rank);
    const Held& held = holder.held[place];
    Lane& lane = holder.lanes[held.lane];
    --(held.own ? lane.own_used : lane.used);
    --holder.slots;
    holder.held.erase(holder.held.begin() + static_cast<std::ptrdiff_t>(place));
    touch_senders(rank);
  }

  void take_slot(Node& holder, int& used) {
    ++used;
    outcome_.peak_slots = std::max(outcome_.peak_slots, ++holder.slots);
  }

  // Puts in own chunks, has messages let in and lets them flow, as far as that goes now.
  void advance(int rank) {
    Node& sender = node(rank);
    while (sender.next_own < sender.own.size()) {
      const std::uint64_t chunk = sender.own[sender.next_own];
      const std::size_t lane = at(route_.lane(chunk));
      if (sender.lanes[lane].own_used == cluster_.own_slots) break;
      ++sender.next_own;
      take_slot(sender, sender.lanes[lane].own_used);
      hold(rank, chunk, lane, true);
    }
    for (Message& message : sender.waiting) {
      if (!message.let_in) let_in(rank, message);
      if (message.let_in && !message.flows) flow(rank, message);
    }
  }

  void let_in(int rank, Message& message) {
    Node& sender = node(rank);
    Lane& lane = node(message.to).lanes[message.lane];
    if (lane.next != core::Hop{rank, message.chunk}) return;  // others go before it
    if (!message.in_flight) {
      if (sender.in_flight == cluster_.in_flight) return;
      message.in_flight = true;
      ++sender.in_flight;
    }
    if (lane.used == cluster_.slots) return;
    take_slot(node(message.to), lane.used);
    ++lane.let_in;
    expect_next(message.to, message.lane);
    message.let_in = true;
    message.ready = now_ + alpha_;
    if (cluster_.in_flight > 1) events_[message.ready].push_back({.rank = rank});
  }

  void flow(int rank, Message& message) {
    Node& sender = node(rank);
    Node& receiver = node(message.to);
    const std::size_t most = at(cluster_.in_flight);
    if (sender.sends.size() == most || receiver.receives.size() == most || (most > 1 && now_ < message.ready)) return;
    const auto same_way = [&](std::size_t other) { return flows_[other].to == message.to; };
    if (std::any_of(sender.sends.begin(), sender.sends.end(), same_way)) return;
    message.flows = true;
    if (unused_.empty()) {
      unused_.push_back(flows_.size());
      flows_.emplace_back();
    }
    const std::size_t number = unused_.back();
    unused_.pop_back();
    const double alone = static_cast<double>(bytes_of(message.chunk)) / cluster_.bytes_per_second * kASecond *
                         (1 + cluster_.jitter * noise(message));
    flows_[number] = {rank, message.to, message.lane, message.chunk, alone, std::max(now_, message.ready), 0, 0, true};
    sender.sends.push_back(number);
    receiver.receives.push_back(number);
    if (crosses_racks(rank, message.to)) {
      leaving_[rack(rank)].push_back(number);
      entering_[rack(message.to)].push_back(number);
    }
    outcome_.peak_sends = std::max(outcome_.peak_sends, static_cast<int>(sender.sends.size()));
    outcome_.peak_receives = std::max(outcome_.peak_receives, static_cast<int>(receiver.receives.size()));
    share_anew(rank, message.to);
  }

  void end(std::size_t number) {
    flows_[number].active = false;
    unused_.push_back(number);
    const Flow flow = flows_[number];
    Node& sender = node(flow.from);
    Node& receiver = node(flow.to);
    std::erase(sender.sends, number);
    std::erase(receiver.receives, number);
    if (crosses_racks(flow.from, flow.to)) {
      std::erase(leaving_[rack(flow.from)], number);
      std::erase(entering_[rack(flow.to)], number);
    }
    share_anew(flow.from, flow.to);

    --sender.in_flight;
    sender.waiting.erase(std::find_if(sender.waiting.begin(), sender.waiting.end(), [&](const Message& message) {
      return message.chunk == flow.chunk && message.to == flow.to;
    }));
    const auto held = std::find_if(sender.held.begin(), sender.held.end(),
                                   [&](const Held& other) { return other.chunk == flow.chunk; });
    if (--held->uses == 0) release(flow.from, static_cast<std::size_t>(held - sender.held.begin()));
    touch(flow.from);

    ++outcome_.messages;
    ++receiver.got;
    hold(flow.to, flow.chunk, flow.lane, false);
    touch(flow.to);
    touch_senders(flow.to);
  }

  // The flows on a card share its rate equally, each direction by itself, and those on a rack's uplink that one's;
  // what one can't use the others don't get.
  void share_anew(int from, int to) {
    for (const int rank : {from, to}) {
      for (const std::size_t number : node(rank).sends) share(number);
      for (const std::size_t number : node(rank).receives) share(number);
    }
    if (!crosses_racks(from, to)) return;
    for (const std::size_t number : leaving_[rack(from)]) share(number);
    for (const std::size_t number : entering_[rack(to)]) share(number);
  }

  void share(std::size_t number) {
    Flow& flow = flows_[number];
    double share = std::min(speed(flow.from) / static_cast<double>(node(flow.from).sends.size()),
                            speed(flow.to) / static_cast<double>(node(flow.to).receives.size()));
    if (crosses_racks(flow.from, flow.to)) {
      const std::size_t most = std::max(leaving_[rack(flow.from)].size(), entering_[rack(flow.to)].size());
      share = std::min(share, cluster_.rack_nodes / cluster_.oversubscription / static_cast<double>(most));
    }
    if (share == flow.share) return;
    if (now_ > flow.since) {
      flow.left -= static_cast<double>(now_ - flow.since) * flow.share;
      flow.since = now_;
    }
    flow.share = share;
    flow.end = std::max(now_, flow.since + static_cast<Time>(std::llround(flow.left / share)));
    events_[flow.end].push_back({.flow = number});
  }

  // Between -1 and 1, the same for the same message (the last steps of splitmix64).
  static double noise(const Message& message) {
    std::uint64_t bits = message.chunk * 0x9E3779B97F4A7C15ULL ^ static_cast<std::uint64_t>(message.to) << 32;
    bits = (bits ^ bits >> 30) * 0xBF58476D1CE4E5B9ULL;
    bits = (bits ^ bits >> 27) * 0x94D049BB133111EBULL;
    return static_cast<double>((bits ^ bits >> 31) >> 11) / static_cast<double>(1ULL << 52) - 1;
  }

  double speed(int rank) const { return rank == cluster_.slow_node ? cluster_.slow_share : 1; }

  std::int64_t bytes_of(std::uint64_t chunk) const {
    return std::clamp<std::int64_t>(bytes_ - static_cast<std::int64_t>(chunk) * chunk_, 0, chunk_);
  }

  std::size_t rack(int rank) const { return at(rank / cluster_.rack_nodes); }
  bool crosses_racks(int from, int to) const { return cluster_.rack_nodes > 0 && rack(from) != rack(to); }

  const core::Route& route_;
  const Cluster& cluster_;
  std::int64_t bytes_;
  std::int64_t chunk_;
  std::uint64_t length_;
  Time alpha_;
  Time now_ = 0;
  std::vector<Node> nodes_;
  std::vector<int> touched_;
  // By time: cards that work in step end at the same moment, so there are few different ones.
  std::map<Time, std::vector<Event>> events_;
  std::vector<Flow> flows_;
  std::vector<std::size_t> unused_;                 // of flows_
  std::vector<std::vector<std::size_t>> leaving_;   // each rack, flows
  std::vector<std::vector<std::size_t>> entering_;  // the same
  Outcome outcome_;
};

}  // namespace

Outcome simulate(const core::Route& route, const Cluster& cluster, std::int64_t bytes, std::int64_t chunk) {
  return Simulation(route, cluster, bytes, chunk).run();
}

}  // namespace argosy::simulate
