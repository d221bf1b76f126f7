#include "core/node_route.h"

#include <algorithm>
#include <cstddef>
#include <utility>

#include "core/two_tree.h"

namespace argosy::core {

std::string_view name_of(RouteKind kind) {
  switch (kind) {
    case RouteKind::kChain:
      return "chain";
    case RouteKind::kTwoTree:
      return "two-tree";
    case RouteKind::kRing:
      return "ring";
  }
  return {};
}

std::unique_ptr<Route> make_route(RouteKind kind, int ranks, int root, bool root_takes) {
  switch (kind) {
    case RouteKind::kChain:
      return std::make_unique<Chain>(ranks, root, root_takes);
    case RouteKind::kTwoTree:
      return std::make_unique<TwoTree>(ranks, root, root_takes);
    case RouteKind::kRing:
      return std::make_unique<Ring>(ranks, root, root_takes);
  }
  return nullptr;
}

NodeRoute::NodeRoute(RouteKind kind, const Placement& placement)
    : leaders_(placement.leader_of), writes_(placement.writes) {
  std::sort(leaders_.begin(), leaders_.end());
  leaders_.erase(std::unique(leaders_.begin(), leaders_.end()), leaders_.end());
  for (const int leader : placement.leader_of) {
    node_of_.push_back(static_cast<int>(std::lower_bound(leaders_.begin(), leaders_.end(), leader) - leaders_.begin()));
  }
  const int root_node = node(placement.root);
  leaders_[static_cast<std::size_t>(root_node)] = placement.root;
  copies_.resize(leaders_.size());
  for (int rank = 0; placement.copies_for_all && rank < static_cast<int>(node_of_.size()); ++rank) {
    if (!leads(rank)) copies_[static_cast<std::size_t>(node(rank))].push_back(rank);
  }
  nodes_ = make_route(kind, nodes(), root_node, placement.root_takes);
  if (kind == RouteKind::kRing) ring_ = static_cast<const Ring*>(nodes_.get());
}

bool NodeRoute::is_destination(int rank) const {
  if (!writes_.empty() && !writes_[static_cast<std::size_t>(rank)]) return false;
  return leads(rank) ? nodes_->is_destination(node(rank)) : parent(rank) != kNobody;
}

std::optional<Hop> NodeRoute::incoming(int rank, int lane, std::uint64_t nth) const {
  if (!leads(rank)) {
    if (parent(rank) == kNobody) return std::nullopt;
    return Hop{leader(node(rank)), held(node(rank), lane, nth)};
  }
  auto hop = nodes_->incoming(node(rank), lane, nth);
  if (hop) hop->from = leader(hop->from);
  return hop;
}

std::vector<int> NodeRoute::to(int rank, std::uint64_t chunk) const {
  if (!leads(rank)) return {};
  return with_copies(node(rank), nodes_->to(node(rank), chunk));
}

int NodeRoute::parent(int rank) const {
  const std::vector<int>& copies = copies_[static_cast<std::size_t>(node(rank))];
  if (!leads(rank)) return copies.empty() ? kNobody : leader(node(rank));
  const int above = nodes_->parent(node(rank));
  return above == kNobody ? kNobody : leader(above);
}

std::vector<int> NodeRoute::children(int rank) const {
  if (!leads(rank)) return {};
  return with_copies(node(rank), nodes_->children(node(rank)));
}

// The leaders of `next_nodes`, and then who gets a copy on `node`.
std::vector<int> NodeRoute::with_copies(int node, std::vector<int> next_nodes) const {
  std::vector<int> ranks = std::move(next_nodes);
  for (int& next : ranks) next = leader(next);
  const std::vector<int>& copies = copies_[static_cast<std::size_t>(node)];
  ranks.insert(ranks.end(), copies.begin(), copies.end());
  return ranks;
}

// The `nth` chunk of a lane that a node comes to hold, whether it was handed to it or put in there.
std::uint64_t NodeRoute::held(int node, int lane, std::uint64_t nth) const {
  if (ring_ != nullptr) return ring_->held(node, nth);
  const auto hop = nodes_->incoming(node, lane, nth);
  if (hop) return hop->chunk;
  // The root, and lanes take turns.
  return nth * static_cast<std::uint64_t>(lanes()) + static_cast<std::uint64_t>(lane);
}

}  // namespace argosy::core
