// The two trees: half of the chunks go down one binary tree, half down another, and every rank but the root is inner
// in at most one of them. So each takes a chunk a step (one of either tree in turn) and hands one on a step (two
// children, every other chunk): both directions of every card are busy all the time, as in a chain, but the depth
// grows with log2 p only. P. Sanders, J. Speck, J. L. Träff: Two-tree algorithms for full bandwidth broadcast,
// reduction and scan. Parallel Computing 35 (2009) 581-594: trees in in-order numbering, the second one a shift of
// the first, and edges in two colours, the even and the odd steps, so that no two chunks meet at a card.
//
// Where this differs. The paper finds a rank's colours in O(log p), here the constructor colours all in O(p). And
// nobody waits for a step here: a chunk is handed on as soon as the card is free. A rank with an only child would
// have to, in trees in which its own colour is the child's too; under a simulated clock one such pair threw all
// others out of step and made the whole up to 1.5 times as long. An even number of ranks below the root always has
// such a rank, and with a mirrored second tree, as the paper takes it then, often such a colour. With a second tree
// shifted by 1, 3 or 5 it never has.
//
// The time, in steps of one chunk. The root puts a chunk in at each step. A rank that took its chunk in step t hands
// it to one child in step t + 1 and to the other in t + 2. A tree has h = ceil(log2 p) levels below the root, so a
// chunk is everywhere at most 1 + 2 (h - 1) steps after it was put in, and n chunks take
//   n + 2 (h - 1) steps,
// some shapes one less. Two slots a lane are enough. A card that shares its rate among two messages, one to each
// child, takes as long and keeps no step at all: that is how argosy runs on a real network.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "core/chain.h"
#include "core/route.h"

namespace argosy::core {

class TwoTree final : public Route {
 public:
  // Every rank but the root is a destination; the root is one with `root_takes`.
  TwoTree(int ranks, int root, bool root_takes);
  int root() const override { return circle_.root(); }
  bool is_destination(int rank) const override { return rank != root() || root_takes_; }
  // Even chunks go down the first tree on lane 0, odd ones down the second on lane 1.
  int lanes() const override { return 2; }
  int lane(std::uint64_t chunk) const override { return static_cast<int>(chunk % 2); }
  std::optional<Hop> incoming(int rank, int lane, std::uint64_t nth) const override;
  std::vector<int> to(int rank, std::uint64_t chunk) const override;
  // Small messages use the first tree.
  int parent(int rank) const override { return place(rank, 0).parent; }
  std::vector<int> children(int rank) const override { return to(rank, 0); }

 private:
  struct Place {
    int parent = kNobody;
    std::array<int, 2> children = {kNobody, kNobody};  // in the order in which they are handed a chunk
  };
  const Place& place(int rank, int lane) const {
    return trees_[static_cast<std::size_t>(lane)][static_cast<std::size_t>(rank)];
  }

  Circle circle_;
  bool root_takes_;
  std::array<std::vector<Place>, 2> trees_;  // lane, rank
};

}  // namespace argosy::core
