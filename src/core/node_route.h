// A route over nodes played by ranks: one rank a node, its leader, takes the node's part in a chain, two trees or a
// ring, and where each rank is to have a copy of its own (`%r` in the destination) it also hands every chunk to the
// others of its node, to the network first. So a chunk comes to a node once, however many ranks it has.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "core/ring.h"
#include "core/route.h"

namespace argosy::core {

enum class RouteKind { kChain, kTwoTree, kRing };

// As it stands behind --route.
std::string_view name_of(RouteKind kind);

std::unique_ptr<Route> make_route(RouteKind kind, int ranks, int root, bool root_takes);

class NodeRoute final : public Route {
 public:
  struct Placement {
    std::vector<int> leader_of;  // for each rank, the rank that leads its node: itself for the leader
    int root = 0;                // leads its own node, whatever leader_of says
    bool root_takes = true;      // false: the root is only source
    bool copies_for_all = false;
    std::vector<bool> writes = {};  // for each rank whether it writes what it gets, or only hands it on; empty: all do
  };
  // Nodes are ordered by the ranks in leader_of, so that where ranks are laid out node by node and rack by rack,
  // neighbours in the route are neighbours in the network.
  NodeRoute(RouteKind kind, const Placement& placement);

  int nodes() const { return static_cast<int>(leaders_.size()); }
  bool leads(int rank) const { return leader(node(rank)) == rank; }

  int root() const override { return leader(nodes_->root()); }
  bool is_destination(int rank) const override;
  int lanes() const override { return nodes_->lanes(); }
  int lane(std::uint64_t chunk) const override { return nodes_->lane(chunk); }
  int origins() const override { return nodes_->origins(); }
  int origin(std::uint64_t chunk) const override { return leader(nodes_->origin(chunk)); }
  std::optional<Hop> incoming(int rank, int lane, std::uint64_t nth) const override;
  std::vector<int> to(int rank, std::uint64_t chunk) const override;
  std::uint64_t stream_length(std::uint64_t last) const override { return nodes_->stream_length(last); }
  // The leaders' tree; the others of a node hang below its leader, or have no part.
  int parent(int rank) const override;
  std::vector<int> children(int rank) const override;

 private:
  int node(int rank) const { return node_of_[static_cast<std::size_t>(rank)]; }
  int leader(int node) const { return leaders_[static_cast<std::size_t>(node)]; }
  std::vector<int> with_copies(int node, std::vector<int> next_nodes) const;
  std::uint64_t held(int node, int lane, std::uint64_t nth) const;

  std::unique_ptr<Route> nodes_;          // its ranks are nodes
  const Ring* ring_ = nullptr;            // nodes_, where that is a ring
  std::vector<int> leaders_;              // of each node
  std::vector<int> node_of_;              // of each rank
  std::vector<std::vector<int>> copies_;  // for each node, the other ranks that get a copy
  std::vector<bool> writes_;
};

}  // namespace argosy::core
