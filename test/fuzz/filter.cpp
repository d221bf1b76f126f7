// Exclude patterns: the first part of an input is a list of them, the second a path. Wildcards are held against a
// matcher that tries every way at once.
#include <algorithm>
#include <bitset>
#include <string>
#include <vector>

#include "check.h"
#include "core/filter.h"

namespace argosy {
namespace {

using fuzz::require;

constexpr std::size_t kMost = 64;  // bytes of pattern and text for the slow matcher

struct Token {
  enum class Kind { kOne, kStar, kStars } kind = Kind::kOne;
  std::bitset<256> set;  // kOne: what it takes
};

// Nothing in it where there is no such class.
std::bitset<256> class_named(std::string_view name) {
  std::bitset<256> set;
  const auto add = [&](int first, int last) {
    for (int c = first; c <= last; ++c) set.set(static_cast<std::size_t>(c));
  };
  const bool alnum = name == "alnum";
  if (name == "lower" || name == "alpha" || alnum) add('a', 'z');
  if (name == "upper" || name == "alpha" || alnum) add('A', 'Z');
  if (name == "digit" || name == "xdigit" || alnum) add('0', '9');
  if (name == "xdigit") add('a', 'f'), add('A', 'F');
  if (name == "blank") add(' ', ' '), add('\t', '\t');
  if (name == "space") add(' ', ' '), add('\t', '\r');
  if (name == "cntrl") add(0, 31), add(127, 127);
  if (name == "print") add(32, 126);
  if (name == "graph") add(33, 126);
  if (name == "punct") add(33, 47), add(58, 64), add(91, 96), add(123, 126);
  return set;
}

// The set behind a bracket; false where it is never closed or has no sense.
bool read_set(std::string_view pattern, std::size_t& at, std::bitset<256>& set) {
  std::size_t i = at;
  const bool negated = i < pattern.size() && (pattern[i] == '!' || pattern[i] == '^');
  if (negated) ++i;
  const std::size_t first = i;
  int before = -1;  // the character that a range may begin with
  while (i < pattern.size()) {
    if (pattern[i] == ']' && i > first) {
      if (negated) set.flip();
      set.reset('/');
      at = i + 1;
      return true;
    }
    if (pattern.substr(i, 2) == "[:") {
      const std::string_view rest = pattern.substr(i + 2);
      const std::size_t end = rest.find(']');
      if (end == std::string_view::npos) return false;
      if (end > 0 && rest[end - 1] == ':') {
        const std::bitset<256> members = class_named(rest.substr(0, end - 1));
        if (members.none()) return false;
        set |= members;
        before = -1;
        i += end + 3;
        continue;
      }
    }
    const bool range = pattern[i] == '-' && before >= 0 && i + 1 < pattern.size() && pattern[i + 1] != ']';
    if (range) ++i;
    if (pattern[i] == '\\' && ++i == pattern.size()) return false;
    const int c = static_cast<unsigned char>(pattern[i++]);
    for (int one = range ? before : c; one <= c; ++one) set.set(static_cast<std::size_t>(one));
    before = range ? -1 : c;
  }
  return false;
}

std::vector<Token> tokens_of(std::string_view pattern) {
  std::vector<Token> tokens;
  for (std::size_t at = 0; at < pattern.size();) {
    Token token;
    const char c = pattern[at++];
    if (c == '*') {
      token.kind = Token::Kind::kStar;
      for (; at < pattern.size() && pattern[at] == '*'; ++at) token.kind = Token::Kind::kStars;
    } else if (c == '?') {
      token.set.set().reset('/');
    } else if (c == '[') {
      if (!read_set(pattern, at, token.set)) token.set.reset();
    } else {
      const bool escaped = c == '\\';
      if (!escaped || at < pattern.size()) token.set.set(static_cast<unsigned char>(escaped ? pattern[at++] : c));
    }
    tokens.push_back(token);
  }
  return tokens;
}

bool matches_every_way(std::string_view pattern, std::string_view text) {
  // reached[t]: the tokens so far can take the first t bytes.
  std::vector<bool> reached(text.size() + 1);
  reached[0] = true;
  for (const Token& token : tokens_of(pattern)) {
    std::vector<bool> next(text.size() + 1);
    const bool star = token.kind != Token::Kind::kOne;
    for (std::size_t t = 0; t <= text.size(); ++t) {
      if (star && reached[t]) next[t] = true;
      if (t == 0) continue;
      const auto c = static_cast<unsigned char>(text[t - 1]);
      if (token.kind == Token::Kind::kOne && reached[t - 1] && token.set.test(c)) next[t] = true;
      if (star && next[t - 1] && (c != '/' || token.kind == Token::Kind::kStars)) next[t] = true;
    }
    reached = std::move(next);
  }
  return reached[text.size()];
}

void look_at_list(std::string_view list, std::string_view path) {
  core::Filter filter;
  const bool fine = filter.add_list(list, false).empty();
  const bool as_file = filter.leaves_out(path, false);
  const bool as_folder = filter.leaves_out(path, true);
  if (!fine) return;
  // What decides stays what decides, whatever comes behind it.
  core::Filter more = filter;
  require(more.add_rule("***", false).empty(), "a pattern is one");
  if (as_file) require(more.leaves_out(path, false), "a later pattern takes nothing back");
  if (as_folder) require(more.leaves_out(path, true), "a later pattern takes nothing back");
  // A lone "!" forgets.
  std::string twice(list);
  twice += "\n!\n";
  twice += list;
  core::Filter again;
  require(again.add_list(twice, false).empty(), "what is a list stays one");
  require(again.leaves_out(path, false) == as_file && again.leaves_out(path, true) == as_folder,
          "what was forgotten decides nothing");
}

}  // namespace
}  // namespace argosy

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace argosy;
  const std::string_view text = fuzz::text_of(std::as_bytes(std::span(data, size)));
  const std::size_t cut = std::min(text.find('\0'), text.size());
  const std::string_view list = text.substr(0, cut);
  const std::string_view path = text.substr(std::min(cut + 1, text.size()));
  look_at_list(list, path);
  const std::string_view pattern = list.substr(0, std::min(kMost, list.find('\n')));
  const std::string_view shorter = path.substr(0, kMost);
  fuzz::require(core::matches_wildcards(pattern, shorter) == matches_every_way(pattern, shorter),
                "a pattern matches what trying every way matches");
  return 0;
}
