#include "core/filter.h"

#include <cctype>
#include <optional>
#include <utility>

namespace argosy::core {

namespace {

bool in_named_class(std::string_view name, unsigned char c) {
  using Test = int (*)(int);
  static constexpr std::pair<std::string_view, Test> kClasses[] = {
      {"alnum", isalnum}, {"alpha", isalpha}, {"blank", isblank}, {"cntrl", iscntrl},
      {"digit", isdigit}, {"graph", isgraph}, {"lower", islower}, {"print", isprint},
      {"punct", ispunct}, {"space", isspace}, {"upper", isupper}, {"xdigit", isxdigit}};
  for (const auto& [known, test] : kClasses) {
    if (name == known) return test(c) != 0;
  }
  return false;
}

// Whether the set that begins at `at` (behind its bracket) has `c`; moves `at` behind it. Nothing where it never ends.
std::optional<bool> in_set(std::string_view pattern, std::size_t& at, char c) {
  const auto byte = static_cast<unsigned char>(c);
  std::size_t i = at;
  bool negated = false;
  if (i < pattern.size() && (pattern[i] == '!' || pattern[i] == '^')) {
    negated = true;
    ++i;
  }
  bool found = false;
  for (bool first = true; i < pattern.size(); first = false) {
    if (pattern[i] == ']' && !first) {
      at = i + 1;
      return found != negated && c != '/';
    }
    if (pattern.substr(i).starts_with("[:")) {
      const std::size_t end = pattern.find(":]", i + 2);
      if (end != std::string_view::npos) {
        found = found || in_named_class(pattern.substr(i + 2, end - i - 2), byte);
        i = end + 2;
        continue;
      }
    }
    if (pattern[i] == '\\' && i + 1 < pattern.size()) ++i;
    const auto low = static_cast<unsigned char>(pattern[i++]);
    auto high = low;
    if (i + 1 < pattern.size() && pattern[i] == '-' && pattern[i + 1] != ']') {
      ++i;
      if (pattern[i] == '\\' && i + 1 < pattern.size()) ++i;
      high = static_cast<unsigned char>(pattern[i++]);
    }
    found = found || (low <= byte && byte <= high);
  }
  return std::nullopt;
}

// Whether the one thing at `at`, which is no star, matches `c`; moves `at` behind it.
bool match_one(std::string_view pattern, std::size_t& at, char c) {
  const char p = pattern[at++];
  if (p == '?') return c != '/';
  if (p == '[') {
    if (const auto found = in_set(pattern, at, c)) return *found;
    return c == '[';
  }
  if (p == '\\' && at < pattern.size()) return pattern[at++] == c;
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

bool Filter::add(std::string_view pattern, bool include) {
  Rule rule;
  rule.include = include;
  if (pattern.starts_with('/')) {
    rule.anchored = true;
    pattern.remove_prefix(1);
  }
  if (pattern.ends_with("/***")) {
    rule.and_below = true;
    pattern.remove_suffix(4);
  } else if (pattern.ends_with('/')) {
    rule.folder_only = true;
    pattern.remove_suffix(1);
  }
  if (pattern.empty() || pattern.size() > kLongestPattern) return false;
  rule.wild = pattern.find_first_of("*?[") != std::string_view::npos;
  rule.whole_path = rule.anchored || rule.and_below || pattern.find('/') != std::string_view::npos ||
                    pattern.find("**") != std::string_view::npos;
  rule.pattern = pattern;
  rules_.push_back(std::move(rule));
  return true;
}

std::string Filter::add_list(std::string_view text) {
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty() || line.starts_with('#') || line.starts_with(';')) continue;
    if (line == "!") {
      rules_.clear();
      continue;
    }
    const bool include = line.starts_with("+ ");
    const std::string_view pattern = include || line.starts_with("- ") ? line.substr(2) : line;
    if (!add(pattern, include)) return std::string(line);
  }
  return {};
}

bool Filter::matches(const Rule& rule, std::string_view path, bool is_folder) {
  if (rule.folder_only && !is_folder) return false;
  const auto same = [&](std::string_view text) {
    return rule.wild ? matches_wildcards(rule.pattern, text) : rule.pattern == text;
  };
  if (!rule.whole_path) {
    const std::size_t slash = path.rfind('/');
    return same(slash == std::string_view::npos ? path : path.substr(slash + 1));
  }
  // Without an anchor a pattern may begin at any component.
  std::string_view rest = path;
  while (true) {
    if (same(rest)) return !rule.and_below || is_folder;
    if (rule.and_below) {
      for (std::size_t slash = rest.find('/'); slash != std::string_view::npos; slash = rest.find('/', slash + 1)) {
        if (same(rest.substr(0, slash))) return true;
      }
    }
    const std::size_t slash = rest.find('/');
    if (rule.anchored || slash == std::string_view::npos) return false;
    rest.remove_prefix(slash + 1);
  }
}

bool Filter::leaves_out(std::string_view path, bool is_folder) const {
  for (const Rule& rule : rules_) {
    if (matches(rule, path, is_folder)) return !rule.include;
  }
  return false;
}

}  // namespace argosy::core
