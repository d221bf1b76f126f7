#include "command/limits.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

namespace argosy::command {

namespace {

// Cards within this of the slowest are as slow.
constexpr double kAsSlow = 1.25;

// One rank's card, as its links show it.
struct Card {
  double fastest = 0;  // what it has carried, bytes a second
  int links = 0;
  double busy = 0;  // the busiest of them
};

// The rank whose card made the others wait.
int slowest_card(const std::vector<RankReport>& ranks) {
  std::map<int, Card> cards;
  for (const RankReport& rank : ranks) {
    for (const LinkReport& link : rank.links) {
      for (const int end : {rank.rank, link.to}) {
        Card& card = cards[end];
        card.fastest = std::max(card.fastest, link.fastest);
        card.busy = std::max(card.busy, link.busy);
        ++card.links;
      }
    }
  }
  double slowest = 0;
  double fastest = 0;
  for (const auto& [rank, card] : cards) {
    if (card.fastest <= 0) continue;
    slowest = slowest == 0 ? card.fastest : std::min(slowest, card.fastest);
    fastest = std::max(fastest, card.fastest);
  }
  const bool alike = fastest <= slowest * kAsSlow;
  int found = -1;
  const auto better = [&](const Card& one, const Card& than) {
    // The last on a chain has but one link, and can't be told from a slow one before it, which shows on two.
    if (!alike && one.links != than.links) return one.links > than.links;
    return alike ? one.busy >= than.busy : one.fastest < than.fastest;
  };
  for (const auto& [rank, card] : cards) {
    if (!alike && (card.fastest <= 0 || card.fastest > slowest * kAsSlow)) continue;
    if (found < 0 || better(card, cards[found])) found = rank;
  }
  return found;
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
