// How long a stream takes on each route, and which route and chunk size take least: what --route auto and --explain
// go by. The model: p nodes, each with one card, full duplex; a message of c bytes costs alpha + beta c seconds on
// both cards, and a card sends one and takes one at a time. With n chunks of c bytes, h = ceil(log2 p) and a step of
// alpha + beta c:
//
//   lower bound   n - 1 + h steps, and no less than beta m
//   chain         n + p - 2 steps
//   two-tree      n + 2 (h - 1) steps (core/two_tree.h)
//   ring          ceil(n / p) (p - 1) steps (core/ring.h)
//
// The bound is J. L. Träff's (Optimal broadcast schedules in logarithmic time with applications to broadcast,
// all-broadcast, reduction and all-reduction, arXiv 2407.18004). The last chunk counts as long as it is. The bound is
// one for routes that start at the root: a ring, whose nodes all read, can do in (p - 1) / p of it. bench/simulate
// plays the same routes message by message and finds the same times.
//
// With two messages of a card in flight the alpha of one passes while the other has the wire: the chain then pays
// alpha only where it is longer than a chunk's wire time, and in its hops; the two trees, where each child has one of
// the two, pay half of it. In a ring a message has to come before it can go on, so each pays all of it but the first
// of a round.
#pragma once

#include <cstdint>

#include "core/node_route.h"

namespace argosy::core {

struct Link {
  double alpha_seconds = 0;
  double beta_seconds_per_byte = 0;
  int in_flight = 1;  // messages of one card, 1 or 2
};

// `nodes` is at least 1, `bytes` not negative, `chunk` positive. On one node nothing moves: 0 seconds.
double lower_bound_seconds(int nodes, std::int64_t bytes, std::int64_t chunk, const Link& link);
double predicted_seconds(RouteKind route, int nodes, std::int64_t bytes, std::int64_t chunk, const Link& link);

// The chunk size with the least predicted time, of the multiples of base::kLeafSize up to `largest` (at least one
// leaf); of equals the smallest.
std::int64_t best_chunk(RouteKind route, int nodes, std::int64_t bytes, const Link& link, std::int64_t largest);

struct Choice {
  RouteKind route = RouteKind::kChain;
  std::int64_t chunk = 0;
  double seconds = 0;
};

// The fastest route, each at its best chunk; the ring only where the source is shared. The trees have to save one per
// cent: in a chain each card talks with one peer a direction, and a rack's uplink is crossed once.
Choice choose(int nodes, std::int64_t bytes, const Link& link, std::int64_t largest_chunk, bool shared_source);

}  // namespace argosy::core
