// What several ranks have of one tree, each in the order of a listing, laid side by side as it comes: rank 0's part of
// `verify --nodes`. Held is what can't be judged yet, because another side has not come so far. Pure.
#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/digest.h"

namespace argosy::command {

// An entry of one rank's tree.
struct Told {
  std::string path;
  base::Digest digest;      // of all that counts of it
  bool unreadable = false;  // nothing is known of it, nor of what is in it
};

class Merge {
 public:
  // A difference: `how` side `side` differs from most others, "missing", "only" or "differs".
  using Tell = std::function<void(const std::string& path, std::size_t side, std::string_view how)>;
  Merge(std::size_t sides, Tell tell) : sides_(sides), tell_(std::move(tell)) {}

  // More of a side is needed before anything else can be judged.
  bool wants(std::size_t side) const { return sides_[side].waiting.empty() && !sides_[side].ended; }
  // What comes next of a side, in the order of file::comes_before; `ended`: nothing more will.
  void add(std::size_t side, std::vector<Told> entries, bool ended);
  // Judges all that can be.
  void judge();

 private:
  struct Side {
    std::deque<Told> waiting;
    bool ended = false;
    std::optional<std::string> hidden;  // the last path that could not be read
  };
  bool is_hidden(const Side& side, const std::string& path) const;
  void judge(const std::string& path);

  std::vector<Side> sides_;
  Tell tell_;
};

}  // namespace argosy::command
