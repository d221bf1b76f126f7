#include "core/filter.h"

#include <algorithm>
#include <cctype>
#include <optional>
#include <utility>

namespace argosy::core {

namespace {

std::optional<bool> in_named_class(std::string_view name, unsigned char c) {
  using Test = int (*)(int);
  static constexpr std::pair<std::string_view, Test> kClasses[] = {
      {"alnum", isalnum}, {"alpha", isalpha}, {"blank", isblank}, {"cntrl", iscntrl},
      {"digit", isdigit}, {"graph", isgraph}, {"lower", islower}, {"print", isprint},
      {"punct", ispunct}, {"space", isspace}, {"upper", isupper}, {"xdigit", isxdigit}};
  for (const auto& [known, test] : kClasses) {
    if (name == known) return test(c) != 0;
  }
  return std::nullopt;
}

// Whether the set that begins at `at` (behind its bracket) has `c`; moves `at` behind it. A set that never ends or
// names an unknown class has nothing, and what holds it matches nothing.
bool in_set(std::string_view pattern, std::size_t& at, char c) {
  const auto byte = static_cast<unsigned char>(c);
  std::size_t i = at;
  bool negated = false;
  if (i < pattern.size() && (pattern[i] == '!' || pattern[i] == '^')) {
    negated = true;
    ++i;
  }
  bool found = false;
  unsigned char low = 0;  // what a range may begin with; 0: nothing
  for (bool first = true; i < pattern.size(); first = false) {
    char p = pattern[i];
    if (p == ']' && !first) {
      at = i + 1;
      return found != negated && c != '/';
    }
    if (p == '[' && pattern.substr(i).starts_with("[:")) {
      const std::size_t end = pattern.find(']', i + 2);
      if (end == std::string_view::npos) return false;
      if (end > i + 2 && pattern[end - 1] == ':') {
        const auto member = in_named_class(pattern.substr(i + 2, end - i - 3), byte);
        if (!member) return false;
        found = found || *member;
        low = 0;
        i = end + 1;
        continue;
      }
    }
    const bool range = p == '-' && low != 0 && i + 1 < pattern.size() && pattern[i + 1] != ']';
    if (range) p = pattern[++i];
    if (p == '\\') {
      if (++i == pattern.size()) return false;
      p = pattern[i];
    }
    ++i;
    const auto one = static_cast<unsigned char>(p);
    found = found || (range ? low <= byte && byte <= one : byte == one);
    low = range ? 0 : one;
  }
  return false;
}

// Whether the one thing at `at`, which is no star, matches `c`; moves `at` behind it.
bool match_one(std::string_view pattern, std::size_t& at, char c) {
  const char p = pattern[at++];
  if (p == '?') return c != '/';
  if (p == '[') return in_set(pattern, at, c);
  if (p == '\\') return at < pattern.size() && pattern[at++] == c;
  return p == c;
}

}  // namespace

// One place to go back to for each kind of star is enough: what a later star can't reach because of a slash, an earlier
// one could not have passed either.
bool matches_wildcards(std::string_view pattern, std::string_view text) {
  struct Back {
    std::size_t pattern = 0;
    std::size_t text = 0;
  };
  std::optional<Back> star;
  std::optional<Back> stars;
  std::size_t p = 0;
  std::size_t t = 0;
  while (true) {
    if (pattern.substr(p).starts_with("**")) {
      while (p < pattern.size() && pattern[p] == '*') ++p;
      stars = Back{p, t};
      star.reset();
      continue;
    }
    if (p < pattern.size() && pattern[p] == '*') {
      star = Back{++p, t};
      continue;
    }
    if (p == pattern.size() && t == text.size()) return true;
    if (p < pattern.size() && t < text.size() && match_one(pattern, p, text[t])) {
      ++t;
      continue;
    }
    if (star && star->text < text.size() && text[star->text] != '/') {
      t = ++star->text;
      p = star->pattern;
    } else if (stars && stars->text < text.size()) {
      t = ++stars->text;
      p = stars->pattern;
      star.reset();
    } else {
      return false;
    }
  }
}

std::string Filter::add_rule(std::string_view text, bool include) {
  if (text == "!") {
    rules_.clear();
    return {};
  }
  if (text.starts_with("+ ") || text.starts_with("- ")) {
    include = text.front() == '+';
    text.remove_prefix(2);
    if (text.empty()) return "a rule ends before its pattern";
  }
  if (text.size() > kLongestPattern) return "a pattern is too long";
  Rule rule;
  rule.include = include;
  rule.folder_only = text.size() > 1 && text.ends_with('/');
  if (rule.folder_only) text.remove_suffix(1);
  rule.anchored = text.starts_with('/');
  if (rule.anchored) text.remove_prefix(1);
  // "/" and nothing are rules that match nothing.
  if (text.empty()) return {};
  rule.wild = text.find_first_of("*?[") != std::string_view::npos;
  const bool crosses_slashes = text.find("**") != std::string_view::npos;
  rule.whole_path = rule.anchored || crosses_slashes || text.find('/') != std::string_view::npos;
  rule.from_root = !rule.anchored && text.starts_with("**");
  rule.and_below = text.ends_with("***");
  rule.pattern = text;
  rules_.push_back(std::move(rule));
  return {};
}

std::string Filter::add_list(std::string_view text, bool nul) {
  const std::string_view ends = nul ? std::string_view("\0", 1) : std::string_view("\n\r");
  while (!text.empty()) {
    const std::size_t end = std::min(text.find_first_of(ends), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.empty() || line.starts_with('#') || line.starts_with(';')) continue;
    if (std::string wrong = add_rule(line, false); !wrong.empty()) return wrong;
  }
  return {};
}

bool Filter::matches(const Rule& rule, std::string_view path, bool is_folder) {
  if (rule.folder_only && !is_folder) return false;
  const auto same = [&](std::string_view text) {
    return rule.wild ? matches_wildcards(rule.pattern, text) : rule.pattern == text;
  };
  if (!rule.whole_path) return same(path.substr(path.rfind('/') + 1));
  // "**/" in front also stands for no folder at all, and "/***" behind for the folder itself.
  std::string longer;
  if (rule.from_root || (rule.and_below && is_folder)) {
    if (rule.from_root) longer += '/';
    longer += path;
    if (rule.and_below && is_folder) longer += '/';
    path = longer;
  }
  while (!same(path)) {
    // Without an anchor a pattern may begin at any component.
    const std::size_t slash = path.find('/');
    if (rule.anchored || rule.from_root || slash == std::string_view::npos) return false;
    path.remove_prefix(slash + 1);
  }
  return true;
}

bool Filter::leaves_out(std::string_view path, bool is_folder) const {
  for (const Rule& rule : rules_) {
    if (matches(rule, path, is_folder)) return !rule.include;
  }
  return false;
}

}  // namespace argosy::core
