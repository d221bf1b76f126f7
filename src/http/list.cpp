#include "http/list.h"

#include <fmt/format.h>

#include <optional>
#include <sstream>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "http/metalink.h"
#include "http/url.h"

namespace argosy::http {

namespace {

std::vector<std::string> words_of(const std::string& line) {
  std::istringstream stream(line);
  std::vector<std::string> words;
  for (std::string word; stream >> word;) words.push_back(word);
  return words;
}

// "sha256:..." of a known algorithm, right or not.
bool means_checksum(const std::string& word) {
  const std::size_t colon = word.find(':');
  return colon != std::string::npos && is_known(std::string_view(word).substr(0, colon));
}

bool is_name(const std::string& word) {
  constexpr std::string_view kNever("/\0", 2);
  return word.size() <= 255 && word.find_first_of(kNever) == std::string::npos && word != "." && word != "..";
}

Wanted parse_line(const std::vector<std::string>& words) {
  const auto refuse = [](std::string why) { return base::Error(base::Kind::kUsage, {}, 0, std::move(why)); };
  Wanted wanted;
  static_cast<void>(parse_url(words[0]));
  wanted.urls = {words[0]};
  std::size_t next = 1;
  if (next < words.size() && !means_checksum(words[next])) {
    wanted.name = words[next++];
    if (!is_name(wanted.name)) {
      throw refuse(fmt::format("'{}' is no file name", base::printable(wanted.name)));
    }
  }
  for (; next < words.size(); ++next) {
    const auto checksum = parse_checksum(words[next]);
    if (!checksum) throw refuse(fmt::format("'{}' is no checksum such as sha256:HEX", base::printable(words[next])));
    wanted.checksums.push_back(*checksum);
  }
  return wanted;
}

}  // namespace

std::vector<Wanted> parse_list(const std::string& text, const std::string& source) {
  if (is_metalink(text)) return parse_metalink(text, source);
  std::vector<Wanted> all;
  constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
  std::istringstream lines(text.starts_with(kByteOrderMark) ? text.substr(kByteOrderMark.size()) : text);
  std::string line;
  for (int number = 1; std::getline(lines, line); ++number) {
    const std::vector<std::string> words = words_of(line);
    if (words.empty() || words[0].starts_with('#')) continue;
    try {
      all.push_back(parse_line(words));
    } catch (const base::Error& error) {
      const base::Failure& failure = error.failure();
      throw base::Error(base::Kind::kUsage, source, 0,
                        fmt::format("line {}: {}{}{}", number, base::printable(failure.path),
                                    failure.path.empty() ? "" : ": ", failure.message));
    }
  }
  return all;
}

}  // namespace argosy::http
