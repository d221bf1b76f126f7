#include "command/verify_merge.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "file/listing.h"

namespace argosy::command {

void Merge::add(std::size_t side, std::vector<Told> entries, bool ended) {
  Side& into = sides_[side];
  std::move(entries.begin(), entries.end(), std::back_inserter(into.waiting));
  into.ended = ended;
}

void Merge::judge() {
  while (true) {
    const std::string* least = nullptr;
    for (const Side& side : sides_) {
      if (side.waiting.empty() && !side.ended) return;
      if (side.waiting.empty()) continue;
      const std::string& path = side.waiting.front().path;
      if (least == nullptr || file::comes_before(path, *least)) least = &path;
    }
    if (least == nullptr) return;
    judge(std::string(*least));
  }
}

bool Merge::is_hidden(const Side& side, const std::string& path) const {
  if (!side.hidden) return false;
  return side.hidden->empty() || path == *side.hidden || path.starts_with(*side.hidden + '/');
}

void Merge::judge(const std::string& path) {
  using Has = std::optional<base::Digest>;  // nothing: the side has no such path
  std::vector<std::pair<std::size_t, Has>> known;
  for (std::size_t i = 0; i < sides_.size(); ++i) {
    Side& side = sides_[i];
    Has has;
    if (!side.waiting.empty() && side.waiting.front().path == path) {
      if (side.waiting.front().unreadable) {
        side.hidden = path;
      } else {
        has = side.waiting.front().digest;
      }
      side.waiting.pop_front();
    }
    if (!is_hidden(side, path)) known.emplace_back(i, has);
  }
  const auto same = [&](const auto& one) { return one.second == known.front().second; };
  if (known.empty() || std::all_of(known.begin(), known.end(), same)) return;
  // What most have, the first where as many have another.
  const auto count = [&](const Has& has) {
    return std::count_if(known.begin(), known.end(), [&](const auto& one) { return one.second == has; });
  };
  const auto usual = std::max_element(known.begin(), known.end(), [&](const auto& a, const auto& b) {
                       return count(a.second) < count(b.second);
                     })->second;
  for (const auto& [side, has] : known) {
    if (has != usual) tell_(path, side, !has ? "missing" : !usual ? "only" : "differs");
  }
}

}  // namespace argosy::command
