#include "core/two_tree.h"

#include <utility>

namespace argosy::core {

namespace {

constexpr std::size_t at(int position) { return static_cast<std::size_t>(position); }

// A binary tree over positions 1 to `size`, hung below position 0.
struct Tree {
  std::vector<int> parent;
  std::vector<std::vector<int>> children;
};
using Trees = std::array<Tree, 2>;

// The parent of `number` in the binary tree whose in-order numbering is 1 to `size`; 0 for its root. A number with k
// trailing zero bits is k levels above the leaves, so inner numbers are even. The parent is the number 2^k away that
// lies one level higher; where the tree ends before it, the one 2^k away on the other side.
int in_order_parent(int number, int size) {
  const int bit = number & -number;
  const int parent = (number ^ bit) | (bit << 1);
  return parent <= size ? parent : number ^ bit;
}

// Each position's number is `shift` less than the position, around the end. An odd shift makes even numbers of odd
// positions; where `size` is odd, a shift of 1 leaves one position with an odd number in both trees.
Tree make_tree(int size, int shift) {
  Tree tree{std::vector<int>(at(size) + 1, kNobody), std::vector<std::vector<int>>(at(size) + 1)};
  for (int position = 1; position <= size; ++position) {
    const int above = in_order_parent((position - 1 - shift + size) % size + 1, size);
    const int parent = above == 0 ? 0 : (above - 1 + shift) % size + 1;
    tree.parent[at(position)] = parent;
    tree.children[at(parent)].push_back(position);
  }
  return tree;
}

// The steps, even (0) or odd (1), in which each position takes the chunks of the first tree; it takes those of the
// second in the others. Nothing if there is no such schedule.
std::optional<std::vector<int>> find_steps(const Trees& trees, int size) {
  struct Bond {
    int to = 0;
    bool differ = false;
  };
  std::vector<std::vector<Bond>> bonds(at(size) + 1);
  const auto bind = [&bonds](int one, int other, bool differ) {
    bonds[at(one)].push_back({other, differ});
    bonds[at(other)].push_back({one, differ});
  };
  // The root serves one position of each tree, in different steps.
  if (size > 0) bind(trees[0].children[0][0], trees[1].children[0][0], false);
  for (const Tree& tree : trees) {
    for (int position = 1; position <= size; ++position) {
      // So are two children served; an only child in the step right after its parent's.
      const std::vector<int>& children = tree.children[at(position)];
      if (!children.empty()) bind(children[0], children.size() == 2 ? children[1] : position, true);
    }
  }
  std::vector<int> steps(at(size) + 1, kNobody);
  std::vector<int> found;
  for (int start = 1; start <= size; ++start) {
    if (steps[at(start)] != kNobody) continue;
    steps[at(start)] = 0;
    found.push_back(start);
    while (!found.empty()) {
      const int position = found.back();
      found.pop_back();
      for (const Bond& bond : bonds[at(position)]) {
        const int step = bond.differ ? 1 - steps[at(position)] : steps[at(position)];
        int& other = steps[at(bond.to)];
        if (other != kNobody && other != step) return std::nullopt;
        if (other == kNobody) found.push_back(bond.to);
        other = step;
      }
    }
  }
  return steps;
}

}  // namespace

TwoTree::TwoTree(int ranks, int root, bool root_takes) : circle_(ranks, root), root_takes_(root_takes) {
  const int size = ranks - 1;
  Trees trees = {make_tree(size, 0), make_tree(size, 1)};
  auto steps = find_steps(trees, size);
  // Two ranks below the root have one way only, which needs no schedule.
  for (int shift = 3; !steps && shift < size; shift += 2) {
    trees[1] = make_tree(size, shift);
    steps = find_steps(trees, size);
  }
  for (const std::size_t lane : {std::size_t{0}, std::size_t{1}}) {
    trees_[lane].resize(at(ranks));
    for (int position = 0; position <= size; ++position) {
      Place& place = trees_[lane][at(circle_.rank_at(position))];
      const int parent = trees[lane].parent[at(position)];
      if (parent != kNobody) place.parent = circle_.rank_at(parent);
      std::vector<int> children = trees[lane].children[at(position)];
      if (children.size() == 2 && (*steps)[at(children[0])] == (*steps)[at(position)])
        std::swap(children[0], children[1]);
      for (std::size_t i = 0; i < children.size(); ++i) place.children[i] = circle_.rank_at(children[i]);
    }
  }
}

std::optional<Hop> TwoTree::incoming(int rank, int lane, std::uint64_t nth) const {
  const int from = place(rank, lane).parent;
  return from == kNobody ? std::nullopt : std::optional(Hop{from, 2 * nth + static_cast<std::uint64_t>(lane)});
}

std::vector<int> TwoTree::to(int rank, std::uint64_t chunk) const {
  std::vector<int> ranks;
  for (const int child : place(rank, lane(chunk)).children) {
    if (child != kNobody) ranks.push_back(child);
  }
  return ranks;
}

}  // namespace argosy::core
