#include "command/bcast.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "base/digest.h"
#include "command/limits.h"
#include "core/node_route.h"
#include "core/predict.h"

namespace argosy::command {

namespace {

// What a card is taken to carry where --link-rate does not say: 10 Gbit/s. The choice hardly depends on it.
constexpr double kDefaultRate = 1.25e9;
constexpr std::int64_t kDefaultLargest = 512 << 10;
// Up to so many nodes the ring is taken for a shared source where --link-rate does not tell the cards' rate.
constexpr int kRingNodes = 64;
// A pool of this many chunks keeps every route busy; larger chunks would leave fewer slots.
constexpr std::int64_t kSlotsWanted = 16;
// The slots of a rank that gets its copy from its node's leader: what it falls behind by, it holds itself.
constexpr std::size_t kCopySlots = 2;

class Broadcast {
 public:
  Broadcast(const Options& options, const BcastOptions& asked, mpi::Session& session)
      : options_(options), asked_(asked), session_(session) {
    for (int rank = 0; rank < session.size(); ++rank) leader_of_.push_back(session.node_of(rank));
    copies_ = asked.directory.find("%r") != std::string::npos;
    for (int rank = 0; rank < session.size(); ++rank) {
      if (leads(rank)) ++nodes_;
      const auto together =
          std::count(leader_of_.begin(), leader_of_.end(), leader_of_[static_cast<std::size_t>(rank)]);
      most_on_a_node_ = std::max(most_on_a_node_, static_cast<int>(together));
      if (leader_of_[static_cast<std::size_t>(rank)] == leader_of_[static_cast<std::size_t>(session.rank())])
        ++on_my_node_;
    }
    link_.beta_seconds_per_byte = 1 / (asked.link_rate > 0 ? static_cast<double>(asked.link_rate) : kDefaultRate);
    if (options.common.bwlimit > 0) {
      link_.beta_seconds_per_byte =
          std::max(link_.beta_seconds_per_byte, 1 / static_cast<double>(options.common.bwlimit));
    }
    link_.in_flight = 2;
    if (nodes_ > 1) link_.alpha_seconds = session.latency(0, first_other_leader());
  }

  // Rank 0 leads its node.
  bool leads(int rank) const {
    const int leader = leader_of_[static_cast<std::size_t>(rank)];
    return leader == leader_of_[0] ? rank == 0 : leader == rank;
  }
  bool writes(int rank) const { return copies_ || leads(rank); }

  std::size_t pool_bytes() const {
    const auto memory = static_cast<std::size_t>(options_.common.memory);
    if (!copies_ || on_my_node_ == 1) return leads(session_.rank()) ? memory : 0;
    const std::size_t copies = static_cast<std::size_t>(on_my_node_ - 1);
    // One slot at least: without shared memory a rank can receive in no other way.
    const std::size_t slot = slot_bytes(largest_chunk());
    const std::size_t a_copy = std::max(slot, std::min(kCopySlots * slot, memory / 2 / copies));
    const std::size_t leader = memory > copies * a_copy + memory / 4 ? memory - copies * a_copy : memory / 4;
    return leads(session_.rank()) ? leader : a_copy;
  }

  Way choose(const Found& found, const std::vector<bool>& writing, Report& report) const {
    const core::Choice choice = pick(found.bytes);
    report.route = core::name_of(choice.route);
    report.chunk_size = choice.chunk;
    report.lower_bound = lower_bound(found.bytes);
    for (const auto kind : {core::RouteKind::kChain, core::RouteKind::kTwoTree, core::RouteKind::kRing}) {
      if (kind == core::RouteKind::kRing && !asked_.shared_source) continue;
      const std::int64_t chunk = best_chunk(kind, found.bytes);
      const double seconds = core::predicted_seconds(kind, nodes_, found.bytes, chunk, link_);
      report.predicted.push_back({std::string(core::name_of(kind)), chunk, seconds});
    }
    core::NodeRoute::Placement placement;
    placement.leader_of = leader_of_;
    placement.copies_for_all = copies_;
    placement.writes = writing;
    return {std::make_unique<core::NodeRoute>(choice.route, placement), choice.chunk};
  }

 private:
  int first_other_leader() const {
    int rank = 1;
    while (!leads(rank)) ++rank;
    return rank;
  }

  std::int64_t best_chunk(core::RouteKind route, std::int64_t bytes) const {
    if (options_.common.chunk_size > 0) return options_.common.chunk_size;
    return core::best_chunk(route, nodes_, bytes, link_, largest_chunk());
  }

  // No route takes less. The alpha of a message may pass while another one has the wire, so it does not count here.
  double lower_bound(std::int64_t bytes) const {
    const core::Link wire{0, link_.beta_seconds_per_byte, 1};
    const double from_root = core::lower_bound_seconds(nodes_, bytes, base::kLeafSize, wire);
    if (!asked_.shared_source) return from_root;
    return wire.beta_seconds_per_byte * static_cast<double>(bytes) * (nodes_ - 1) / nodes_;
  }

  // The route that was asked for, or the one with the shortest predicted time, with its chunk size.
  core::Choice pick(std::int64_t bytes) const {
    if (asked_.route) return {*asked_.route, best_chunk(*asked_.route, bytes), 0};
    // A source that every node sees is asked once for each byte this way, and by every node for its part: the
    // prediction, whose rate is a guess, would have to be much worse.
    if (asked_.shared_source && asked_.link_rate == 0 && nodes_ <= kRingNodes) {
      return {core::RouteKind::kRing, best_chunk(core::RouteKind::kRing, bytes), 0};
    }
    if (options_.common.chunk_size == 0)
      return core::choose(nodes_, bytes, link_, largest_chunk(), asked_.shared_source);
    core::Choice best;
    for (const auto kind : {core::RouteKind::kChain, core::RouteKind::kTwoTree, core::RouteKind::kRing}) {
      if (kind == core::RouteKind::kRing && !asked_.shared_source) continue;
      const std::int64_t chunk = options_.common.chunk_size;
      const double seconds = core::predicted_seconds(kind, nodes_, bytes, chunk, link_);
      if (best.chunk == 0 || seconds < best.seconds) best = {kind, chunk, seconds};
    }
    return best;
  }

  std::int64_t largest_chunk() const {
    if (options_.common.chunk_size > 0) return options_.common.chunk_size;
    std::int64_t largest =
        options_.common.memory / std::max<std::int64_t>(kSlotsWanted, copies_ ? 4 * most_on_a_node_ : 0);
    // Where nobody has said that the cards are faster, the small chunk: on a slow card a large one costs its wire time
    // a hop.
    if (asked_.link_rate == 0) largest = std::min(largest, kDefaultLargest);
    return steady_chunk(options_.common, largest);
  }

  const Options& options_;
  const BcastOptions& asked_;
  mpi::Session& session_;
  std::vector<int> leader_of_;
  bool copies_ = false;
  int nodes_ = 0;
  int on_my_node_ = 0;
  int most_on_a_node_ = 0;
  core::Link link_;
};

}  // namespace

Report bcast(const Options& options, const BcastOptions& asked, mpi::Session& session,
             const Surroundings& surroundings) {
  if (asked.route == core::RouteKind::kRing && !asked.shared_source) {
    return wrong_usage("bcast", "--route ring reads on every node: it goes with --source shared");
  }
  const Broadcast broadcast(options, asked, session);
  MoveTask task;
  task.command = "bcast";
  task.sources = static_cast<const Sources&>(asked);
  task.directory = asked.directory;
  task.root = 0;
  task.wants = [&](int rank) { return broadcast.writes(rank); };
  task.reads = [&](int rank) { return rank == 0 || (asked.shared_source && broadcast.leads(rank)); };
  task.folders_may_be_shared = true;
  task.leave_same = true;
  task.limit_cards_only = true;
  task.checksum = asked.checksum;
  task.explain = asked.explain;
  task.choose = [&](const Found& found, const std::vector<bool>& writing, Report& report) {
    return broadcast.choose(found, writing, report);
  };
  task.pool_bytes = broadcast.pool_bytes();
  Report report = move_files(options, session, surroundings, task);
  // Only rank 0 has every rank's report.
  if (session.rank() == 0 && report.bytes_moved > 0)
    report.limited_by = limiting_stage(report.ranks, report.seconds.transfer);
  return report;
}

}  // namespace argosy::command
