#include "core/predict.h"

#include <algorithm>
#include <bit>

#include "base/digest.h"

namespace argosy::core {

namespace {

constexpr double kTreesMustSave = 0.01;

// A stream cut into chunks: `count` of them, at least one, all `first` bytes long but the last.
struct Cut {
  std::int64_t count = 1;
  double first = 0;
  double last = 0;
};

Cut cut(std::int64_t bytes, std::int64_t chunk) {
  const std::int64_t count = std::max<std::int64_t>(1, (bytes + chunk - 1) / chunk);
  return {count, static_cast<double>(std::min(bytes, chunk)), static_cast<double>(bytes - (count - 1) * chunk)};
}

// ceil(log2 nodes): the steps in which one chunk can be everywhere.
int levels(int nodes) { return static_cast<int>(std::bit_width(static_cast<unsigned>(nodes - 1))); }

double chain_seconds(int nodes, const Cut& stream, const Link& link) {
  const auto hop = [&link](double bytes) { return link.alpha_seconds + link.beta_seconds_per_byte * bytes; };
  // How long after one chunk the next one of that length ends on the same card.
  const auto step = [&](double bytes) {
    return std::max(hop(bytes) / link.in_flight, link.beta_seconds_per_byte * bytes);
  };
  double seconds = (nodes - 1) * hop(stream.first);
  if (stream.count > 1) seconds += static_cast<double>(stream.count - 2) * step(stream.first) + step(stream.last);
  return seconds;
}

double two_tree_seconds(int nodes, std::int64_t bytes, const Cut& stream, const Link& link) {
  const double alpha = link.alpha_seconds / link.in_flight;
  const double all =
      static_cast<double>(stream.count) * alpha + link.beta_seconds_per_byte * static_cast<double>(bytes);
  return all + 2 * (levels(nodes) - 1) * (alpha + link.beta_seconds_per_byte * stream.first);
}

double ring_seconds(int nodes, const Cut& stream, const Link& link) {
  const std::int64_t rounds = (stream.count + nodes - 1) / nodes;
  const bool last_alone = stream.count == (rounds - 1) * nodes + 1;
  const double longest_in_last = last_alone ? stream.last : stream.first;
  const double wire_bytes = static_cast<double>(rounds - 1) * stream.first + longest_in_last;
  const double wire = link.beta_seconds_per_byte * wire_bytes;
  // The alpha of a rank's own chunk passes while the last chunk of the round before flows.
  const double hidden = (link.in_flight - 1) * std::min(link.alpha_seconds, link.beta_seconds_per_byte * stream.first);
  return (nodes - 1) * (static_cast<double>(rounds) * link.alpha_seconds + wire) -
         static_cast<double>(rounds - 1) * hidden;
}

}  // namespace

double lower_bound_seconds(int nodes, std::int64_t bytes, std::int64_t chunk, const Link& link) {
  if (nodes == 1) return 0;
  const Cut stream = cut(bytes, chunk);
  // Never less than beta m, as each step moves a chunk.
  return static_cast<double>(stream.count) * link.alpha_seconds +
         link.beta_seconds_per_byte * static_cast<double>(bytes) +
         (levels(nodes) - 1) * (link.alpha_seconds + link.beta_seconds_per_byte * stream.first);
}

double predicted_seconds(RouteKind route, int nodes, std::int64_t bytes, std::int64_t chunk, const Link& link) {
  if (nodes == 1) return 0;
  const Cut stream = cut(bytes, chunk);
  switch (route) {
    case RouteKind::kChain:
      return chain_seconds(nodes, stream, link);
    case RouteKind::kTwoTree:
      return two_tree_seconds(nodes, bytes, stream, link);
    case RouteKind::kRing:
      return ring_seconds(nodes, stream, link);
  }
  return 0;
}

std::int64_t best_chunk(RouteKind route, int nodes, std::int64_t bytes, const Link& link, std::int64_t largest) {
  constexpr auto kLeaf = static_cast<std::int64_t>(base::kLeafSize);
  std::int64_t best = kLeaf;
  // A closed form would miss the ring's whole rounds; a thousand candidates cost microseconds.
  for (std::int64_t chunk = 2 * kLeaf; chunk <= std::min(largest, bytes + kLeaf); chunk += kLeaf) {
    if (predicted_seconds(route, nodes, bytes, chunk, link) < predicted_seconds(route, nodes, bytes, best, link))
      best = chunk;
  }
  return best;
}

Choice choose(int nodes, std::int64_t bytes, const Link& link, std::int64_t largest_chunk, bool shared_source) {
  const auto at_best = [&](RouteKind route) {
    const std::int64_t chunk = best_chunk(route, nodes, bytes, link, largest_chunk);
    return Choice{route, chunk, predicted_seconds(route, nodes, bytes, chunk, link)};
  };
  Choice choice = at_best(RouteKind::kChain);
  const Choice trees = at_best(RouteKind::kTwoTree);
  if (trees.seconds < (1 - kTreesMustSave) * choice.seconds) choice = trees;
  if (!shared_source) return choice;
  const Choice ring = at_best(RouteKind::kRing);
  return ring.seconds < choice.seconds ? ring : choice;
}

}  // namespace argosy::core
