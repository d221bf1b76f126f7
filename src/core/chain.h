// The chain: root, and then each node hands every chunk to the next one. With n chunks and p nodes the last chunk is
// at the last node after n + p - 2 chunk times: nothing beats it where n is much larger than p, and it asks least of
// the network, since each card talks with one peer a direction and each rack's uplink is crossed once. core/predict.h
// says when it pays.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "core/route.h"

namespace argosy::core {

// Where a rank stands when the ranks are counted from the root on: the root has position 0, the next rank 1, and so
// on around. Every route is built on positions, so that any rank can be the root.
class Circle {
 public:
  // `ranks` is at least 1, `root` one of them.
  Circle(int ranks, int root) : ranks_(ranks), root_(root) {}
  int ranks() const { return ranks_; }
  int root() const { return root_; }
  int position(int rank) const { return rank >= root_ ? rank - root_ : rank - root_ + ranks_; }
  // Of a position from 0 to ranks() - 1.
  int rank_at(int position) const { return position < ranks_ - root_ ? position + root_ : position + root_ - ranks_; }

 private:
  int ranks_;
  int root_;
};

class Chain final : public Route {
 public:
  // Every rank but the root is a destination; the root is one with `root_takes`.
  Chain(int ranks, int root, bool root_takes) : circle_(ranks, root), root_takes_(root_takes) {}
  int root() const override { return circle_.root(); }
  bool is_destination(int rank) const override { return rank != root() || root_takes_; }
  std::optional<Hop> incoming(int rank, int lane, std::uint64_t nth) const override;
  std::vector<int> to(int rank, std::uint64_t chunk) const override;
  int parent(int rank) const override;
  std::vector<int> children(int rank) const override { return to(rank, 0); }

 private:
  Circle circle_;
  bool root_takes_;
};

}  // namespace argosy::core
