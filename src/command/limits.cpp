#include "command/limits.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace argosy::command {

namespace {

// Links within this of the fastest are as fast: the cards are alike.
constexpr double kAlike = 1.25;
// A card that has carried so much more than its slow link elsewhere is not the slow one.
constexpr double kFaster = 1.5;

struct Line {
  int from = 0;
  int to = 0;
  double busy = 0;
  double fastest = 0;
};

// What the card of `rank` has carried over its links but `without`; `unknown` where there are none.
double carried_elsewhere(const std::vector<Line>& lines, int rank, const Line& without, double unknown) {
  double most = 0;
  for (const Line& line : lines) {
    if (&line != &without && (line.from == rank || line.to == rank)) most = std::max(most, line.fastest);
  }
  return most > 0 ? most : unknown;
}

// The rank whose card made the others wait: one of the two ends of the slowest link. Where all are alike the last that
// the busiest link leads to.
int slowest_card(const std::vector<RankReport>& ranks) {
  std::vector<Line> lines;
  for (const RankReport& rank : ranks) {
    for (const LinkReport& link : rank.links) lines.push_back({rank.rank, link.to, link.busy, link.fastest});
  }
  const auto slower = [](const Line& one, const Line& than) { return one.fastest < than.fastest; };
  const auto [slow, fast] = std::minmax_element(lines.begin(), lines.end(), slower);
  if (fast->fastest <= slow->fastest * kAlike) {
    const auto less_busy = [](const Line& one, const Line& than) {
      return std::pair(one.busy, one.to) < std::pair(than.busy, than.to);
    };
    return std::max_element(lines.begin(), lines.end(), less_busy)->to;
  }
  // An end that has carried more is not the one. Of two that may be it, it is the one that shows on its other links.
  const double limit = slow->fastest * kFaster;
  const double sender = carried_elsewhere(lines, slow->from, *slow, limit);
  const double receiver = carried_elsewhere(lines, slow->to, *slow, limit);
  return sender <= limit && sender < receiver ? slow->from : slow->to;
}

// "network into h5": a card that only sends is named by what it does.
std::string name_of_card(const std::vector<RankReport>& ranks, int card) {
  bool receives = false;
  std::string host = "a host without a report";
  for (const RankReport& rank : ranks) {
    if (rank.rank == card) host = rank.host;
    for (const LinkReport& link : rank.links) receives = receives || link.to == card;
  }
  return fmt::format("network {} {}", receives ? "into" : "out of", host);
}

}  // namespace

std::string limiting_stage(const std::vector<RankReport>& ranks, double seconds) {
  if (seconds <= 0) return {};
  std::string name;
  double most = 0;
  const auto consider = [&](const std::string& stage, double busy) {
    if (busy <= most) return;
    most = busy;
    name = stage;
  };
  for (const RankReport& rank : ranks) {
    consider("source on " + rank.host, rank.source);
    consider("disk of " + rank.host, rank.disk);
    consider("hash on " + rank.host, rank.hash);
  }
  const double others = most;
  for (const RankReport& rank : ranks) {
    for (const LinkReport& link : rank.links) consider({}, link.busy);
  }
  if (most <= 0) return {};
  if (most > others) name = name_of_card(ranks, slowest_card(ranks));
  return fmt::format("{} ({:.0f} % busy)", name, 100 * std::min(1.0, most / seconds));
}

}  // namespace argosy::command
