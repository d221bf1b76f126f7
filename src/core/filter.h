// Which files of a tree are moved: --exclude and --include patterns with rsync's meaning (doc/trees.md says where it
// differs). The first pattern that matches decides; what none matches is moved. A folder that is left out is not
// looked into. Pure.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace argosy::core {

inline constexpr std::size_t kLongestPattern = 4096;

class Filter {
 public:
  // Appends a rule as rsync's --exclude (or with `include` --include) takes it: "+ " and "- " before the pattern say
  // include and exclude, a lone "!" forgets the rules before it. An empty string, or what is wrong.
  std::string add_rule(std::string_view text, bool include);
  // Appends the rules of a list, as rsync's --exclude-from: one a line, or with `nul` each ended by a NUL. Empty ones
  // and those that begin with # or ; count nothing. An empty string, or what is wrong.
  std::string add_list(std::string_view text, bool nul);
  // `path` counts from the transfer's root: it begins with the source's own name.
  bool leaves_out(std::string_view path, bool is_folder) const;
  bool empty() const { return rules_.empty(); }

 private:
  struct Rule {
    std::string pattern;
    bool include = false;
    bool anchored = false;    // begins where the path begins
    bool whole_path = false;  // else only the last component
    bool folder_only = false;
    bool from_root = false;  // begins with "**"
    bool and_below = false;  // ends in "***"
    bool wild = false;
  };
  static bool matches(const Rule& rule, std::string_view path, bool is_folder);
  std::vector<Rule> rules_;
};

// True when all of `text` matches: * anything but slashes, ** anything, ? one byte but a slash, [...] one byte of a
// set, and a backslash takes the next byte as it is. A set that is none matches nothing.
bool matches_wildcards(std::string_view pattern, std::string_view text);

}  // namespace argosy::core
