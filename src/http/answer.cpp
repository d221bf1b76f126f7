#include "http/answer.h"

#include <curl/curl.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <memory>

#include "base/error.h"

namespace argosy::http {

namespace {

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

bool equal_words(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](unsigned char x, unsigned char y) { return std::tolower(x) == std::tolower(y); });
}

// All of `text` as a number that is not negative.
std::optional<std::int64_t> number(std::string_view text) {
  std::int64_t value = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
  if (parsed.ec != std::errc() || parsed.ptr != text.data() + text.size() || value < 0) return std::nullopt;
  return value;
}

// The rest behind "bytes ", or nothing.
std::optional<std::string_view> in_bytes(std::string_view text) {
  text = trimmed(text);
  constexpr std::string_view kUnit = "bytes";
  if (text.size() <= kUnit.size() || !equal_words(text.substr(0, kUnit.size()), kUnit)) return std::nullopt;
  text.remove_prefix(kUnit.size());
  if (text.front() != ' ' && text.front() != '\t') return std::nullopt;
  return trimmed(text);
}

// Cuts `text` at `separator` outside of quotes; quotes stay.
std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  bool quoted = false;
  std::size_t start = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (quoted && text[i] == '\\') {
      ++i;
    } else if (text[i] == '"') {
      quoted = !quoted;
    } else if (text[i] == separator && !quoted) {
      parts.push_back(trimmed(text.substr(start, i - start)));
      start = i + 1;
    }
  }
  parts.push_back(trimmed(text.substr(std::min(start, text.size()))));
  return parts;
}

std::vector<std::string_view> split_lines(std::string_view text) {
  std::vector<std::string_view> lines;
  for (std::size_t end = text.find('\n'); end != std::string_view::npos; end = text.find('\n')) {
    lines.push_back(text.substr(0, end));
    text.remove_prefix(end + 1);
  }
  lines.push_back(text);
  return lines;
}

// A token or a quoted string, without its quotes.
std::string unquoted(std::string_view text) {
  if (text.size() < 2 || text.front() != '"' || text.back() != '"') return std::string(text);
  std::string plain;
  for (std::size_t i = 1; i + 1 < text.size(); ++i) {
    if (text[i] == '\\' && i + 2 < text.size()) ++i;
    plain += text[i];
  }
  return plain;
}

std::string percent_decoded(std::string_view text) {
  if (text.empty()) return {};  // to libcurl a length of 0 means that a NUL ends it
  int length = 0;
  char* decoded = curl_easy_unescape(nullptr, text.data(), static_cast<int>(text.size()), &length);
  if (decoded == nullptr) return {};
  const std::unique_ptr<char, void (*)(void*)> owner(decoded, curl_free);
  return {decoded, static_cast<std::size_t>(length)};
}

// RFC 8187: charset'language'percent-encoded.
std::string extended_value(std::string_view text) {
  const std::size_t first = text.find('\'');
  const std::size_t second = first == std::string_view::npos ? first : text.find('\'', first + 1);
  if (second == std::string_view::npos) return {};
  const std::string_view charset = text.substr(0, first);
  std::string value = percent_decoded(text.substr(second + 1));
  if (equal_words(charset, "utf-8")) return base::is_utf8(value) ? value : std::string();
  if (!equal_words(charset, "iso-8859-1")) return {};
  std::string utf8;
  for (const char c : value) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x80) {
      utf8 += c;
    } else {
      utf8 += static_cast<char>(0xC0U | byte >> 6U);
      utf8 += static_cast<char>(0x80U | (byte & 0x3FU));
    }
  }
  return utf8;
}

// `key` in a structured field such as `"default";r=0;t=30` or `limit=10, remaining=0, reset=30`.
std::optional<std::int64_t> parameter(const std::string& text, std::string_view key) {
  for (const std::string_view item : split(text, ',')) {
    for (const std::string_view one : split(item, ';')) {
      const std::size_t equals = one.find('=');
      if (equals == std::string_view::npos || !equal_words(trimmed(one.substr(0, equals)), key)) continue;
      return number(trimmed(one.substr(equals + 1)));
    }
  }
  return std::nullopt;
}

std::optional<double> rate_limit_wait(const Answer& answer, std::int64_t now) {
  if (const auto limit = answer.field("ratelimit")) {
    for (const auto& [remaining, reset] : {std::pair{"r", "t"}, std::pair{"remaining", "reset"}}) {
      const auto left = parameter(*limit, remaining);
      const auto seconds = parameter(*limit, reset);
      if (left && *left == 0 && seconds) return static_cast<double>(*seconds);
    }
  }
  for (const std::string prefix : {"ratelimit-", "x-ratelimit-"}) {
    const auto remaining = answer.field(prefix + "remaining");
    const auto reset = answer.field(prefix + "reset");
    if (!remaining || !reset || number(trimmed(*remaining)) != 0) continue;
    const auto value = number(trimmed(*reset));
    if (!value) continue;
    // Some tell the time of day instead of the seconds that are left.
    constexpr std::int64_t kSurelyADate = 1'000'000'000;
    return static_cast<double>(*value > kSurelyADate ? std::max<std::int64_t>(0, *value - now) : *value);
  }
  return std::nullopt;
}

}  // namespace

std::optional<std::string> Answer::field(std::string_view name) const {
  for (const auto& [key, value] : fields) {
    if (key == name) return value;
  }
  return std::nullopt;
}

std::string Answer::all(std::string_view name) const {
  std::string joined;
  for (const auto& [key, value] : fields) {
    if (key != name) continue;
    if (!joined.empty()) joined += ", ";
    joined += value;
  }
  return joined;
}

std::optional<ContentRange> parse_content_range(std::string_view text) {
  const auto rest = in_bytes(text);
  if (!rest) return std::nullopt;
  const std::size_t dash = rest->find('-');
  const std::size_t slash = rest->find('/');
  if (dash == std::string_view::npos || slash == std::string_view::npos || dash > slash) return std::nullopt;
  const auto first = number(rest->substr(0, dash));
  const auto last = number(rest->substr(dash + 1, slash - dash - 1));
  const std::string_view whole = rest->substr(slash + 1);
  const auto size = whole == "*" ? std::optional<std::int64_t>(-1) : number(whole);
  if (!first || !last || !size || *last < *first || (*size >= 0 && *last >= *size)) return std::nullopt;
  return ContentRange{*first, *last, *size};
}

std::optional<std::int64_t> parse_unsatisfied_range(std::string_view text) {
  const auto rest = in_bytes(text);
  if (!rest || !rest->starts_with("*/")) return std::nullopt;
  return number(rest->substr(2));
}

std::string strong_etag(const Answer& answer) {
  const auto etag = answer.field("etag");
  if (!etag || etag->size() < 2 || etag->front() != '"' || etag->back() != '"') return {};
  return *etag;
}

Pin pin_of(const Answer& answer) {
  Pin pin;
  pin.etag = strong_etag(answer);
  if (pin.etag.empty()) pin.weak_etag = answer.field("etag").value_or("");
  pin.last_modified = answer.field("last-modified").value_or("");
  const auto changed = parse_date(pin.last_modified);
  const auto answered = parse_date(answer.field("date").value_or(""));
  if (changed && answered && *changed >= *answered) pin.last_modified.clear();
  if (answer.status == 206) {
    const auto range = parse_content_range(answer.field("content-range").value_or(""));
    if (range) pin.size = range->size;
  } else if (!answer.field("transfer-encoding")) {
    pin.size = number(trimmed(answer.field("content-length").value_or(""))).value_or(-1);
  }
  return pin;
}

std::string mismatch(const Pin& pin, const Pin& answer) {
  const bool known = pin.is_strong() || !pin.weak_etag.empty();
  if (known && (pin.etag != answer.etag || pin.weak_etag != answer.weak_etag)) return "its ETag";
  if (pin.etag.empty() && !pin.last_modified.empty() && pin.last_modified != answer.last_modified) {
    return "its time of change";
  }
  if (pin.size >= 0 && pin.size != answer.size) return "its size";
  return {};
}

std::string to_text(const Pin& pin) {
  constexpr std::size_t kLongest = 2000;
  if (!pin.is_strong()) return {};
  // Of an object with a strong ETag nothing else counts.
  const std::string text = pin.etag.empty() ? "\n" + pin.last_modified + "\n" + pin.weak_etag : pin.etag + "\n\n";
  return text.size() <= kLongest && pin_from_text(text, pin.size) ? text : std::string();
}

std::optional<Pin> pin_from_text(std::string_view text, std::int64_t size) {
  const std::vector<std::string_view> lines = split_lines(text);
  if (lines.size() != 3) return std::nullopt;
  const auto is_value = [](std::string_view line) {
    return std::none_of(line.begin(), line.end(), [](unsigned char c) { return c < 0x20 || c == 0x7F; });
  };
  if (!std::all_of(lines.begin(), lines.end(), is_value)) return std::nullopt;
  Pin pin{std::string(lines[0]), std::string(lines[1]), size, std::string(lines[2])};
  const bool is_etag = pin.etag.size() >= 2 && pin.etag.front() == '"' && pin.etag.back() == '"';
  if (pin.etag.empty() ? !parse_date(pin.last_modified) : !is_etag) return std::nullopt;
  return pin;
}

std::string if_range_of(const Pin& pin) {
  if (!pin.etag.empty()) return pin.etag;
  return pin.weak_etag.empty() ? pin.last_modified : std::string();
}

std::optional<std::string> proposed_name(const Answer& answer) {
  const auto field = answer.field("content-disposition");
  if (!field) return std::nullopt;
  std::optional<std::string> plain;
  for (const std::string_view one : split(*field, ';')) {
    const std::size_t equals = one.find('=');
    if (equals == std::string_view::npos) continue;
    const std::string_view key = trimmed(one.substr(0, equals));
    const std::string value = unquoted(trimmed(one.substr(equals + 1)));
    if (equal_words(key, "filename*")) {
      std::string name = extended_value(value);
      if (!name.empty()) return name;
    } else if (equal_words(key, "filename") && !value.empty() && !plain) {
      plain = value;
    }
  }
  return plain;
}

std::optional<double> wait_asked(const Answer& answer, std::int64_t now) {
  if (const auto after = answer.field("retry-after")) {
    if (const auto seconds = number(trimmed(*after))) return static_cast<double>(*seconds);
    if (const auto date = parse_date(*after)) return static_cast<double>(std::max<std::int64_t>(0, *date - now));
  }
  return rate_limit_wait(answer, now);
}

std::vector<Checksum> digests(const Answer& answer, std::string_view field) {
  std::vector<Checksum> found;
  const std::string list = answer.all(field);
  for (const std::string_view item : split(list, ',')) {
    const std::size_t equals = item.find('=');
    if (equals == std::string_view::npos) continue;
    std::string_view value = trimmed(item.substr(equals + 1));
    value = value.substr(0, value.find(';'));
    if (value.size() < 2 || value.front() != ':' || value.back() != ':') continue;
    auto one = checksum_from_base64(trimmed(item.substr(0, equals)), value.substr(1, value.size() - 2));
    if (one) found.push_back(std::move(*one));
  }
  return found;
}

std::optional<std::int64_t> parse_date(const std::string& text) {
  const time_t time = curl_getdate(text.c_str(), nullptr);
  if (time == -1) return std::nullopt;
  return time;
}

}  // namespace argosy::http
