#include "http/metalink.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <optional>
#include <pugixml.hpp>
#include <utility>

#include "base/error.h"
#include "http/name.h"
#include "http/url.h"

namespace argosy::http {

namespace {

constexpr int kLeastPriority = 999'999;  // of an address that has none (RFC 5854, 4.2.16.2)
constexpr std::int64_t kSmallestPiece = 1024;

// The element's name without the prefix of its namespace.
std::string_view local_name(const pugi::xml_node& node) {
  const std::string_view name = node.name();
  const std::size_t colon = name.find(':');
  return colon == std::string_view::npos ? name : name.substr(colon + 1);
}

std::string text_of(const pugi::xml_node& node) {
  const std::string text = node.text().get();
  const std::size_t begin = text.find_first_not_of(" \t\r\n");
  if (begin == std::string::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t\r\n") + 1 - begin);
}

std::optional<std::int64_t> number(const std::string& text) {
  std::int64_t value = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
  if (parsed.ec != std::errc() || parsed.ptr != text.data() + text.size() || value < 0) return std::nullopt;
  return value;
}

class Parser {
 public:
  explicit Parser(std::string source) : source_(std::move(source)) {}

  Wanted file(const pugi::xml_node& node) {
    name_ = node.attribute("name").value();
    Wanted wanted;
    if (name_.empty()) throw refuse("a file has no name");
    wanted.name = safe_name(name_);
    std::vector<std::pair<std::int64_t, std::string>> places;
    for (const pugi::xml_node& child : node.children()) {
      const std::string_view kind = local_name(child);
      if (kind == "size") {
        const auto size = number(text_of(child));
        if (!size) throw refuse("its size is no number");
        wanted.size = *size;
      } else if (kind == "hash") {
        add_checksum(child.attribute("type").value(), text_of(child), wanted.checksums);
      } else if (kind == "url") {
        const auto priority = number(child.attribute("priority").value());
        const std::string place = text_of(child);
        if (is_fetched(place)) places.emplace_back(priority.value_or(kLeastPriority), place);
      } else if (kind == "pieces" && wanted.pieces.length == 0) {
        wanted.pieces = pieces(child);
      }
    }
    if (places.empty()) throw refuse("no http or https address is given");
    std::stable_sort(places.begin(), places.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
    for (auto& [priority, place] : places) wanted.urls.push_back(std::move(place));
    check(wanted);
    return wanted;
  }

 private:
  base::Error refuse(const std::string& why) const {
    return {base::Kind::kUsage, source_, 0, fmt::format("in the Metalink, file '{}': {}", base::printable(name_), why)};
  }

  static bool is_fetched(const std::string& place) {
    try {
      return !parse_url(place).text.empty();
    } catch (const base::Error&) {
      return false;
    }
  }

  void add_checksum(const std::string& algorithm, const std::string& hex, std::vector<Checksum>& into) const {
    if (!is_known(algorithm)) return;
    const auto checksum = checksum_from_hex(algorithm, hex);
    if (!checksum) throw refuse(fmt::format("'{}' is no {}", base::printable(hex), base::printable(algorithm)));
    into.push_back(*checksum);
  }

  Pieces pieces(const pugi::xml_node& node) const {
    const std::string algorithm = node.attribute("type").value();
    const auto length = number(node.attribute("length").value());
    if (!length || *length < kSmallestPiece) throw refuse("the length of its pieces has no sense");
    if (!is_known(algorithm)) return {};
    Pieces pieces;
    pieces.length = *length;
    for (const pugi::xml_node& child : node.children()) {
      if (local_name(child) == "hash") add_checksum(algorithm, text_of(child), pieces.checksums);
    }
    return pieces;
  }

  void check(const Wanted& wanted) const {
    if (wanted.pieces.length == 0 || wanted.size < 0) return;
    const std::int64_t count = (wanted.size + wanted.pieces.length - 1) / wanted.pieces.length;
    if (count != static_cast<std::int64_t>(wanted.pieces.checksums.size())) {
      throw refuse("the number of its pieces does not go with its size");
    }
  }

  std::string source_;
  std::string name_;
};

}  // namespace

bool is_metalink(std::string_view text) {
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  const std::size_t begin = text.find_first_not_of(" \t\r\n");
  return begin != std::string_view::npos && text[begin] == '<';
}

std::vector<Wanted> parse_metalink(const std::string& text, const std::string& source) {
  pugi::xml_document document;
  const pugi::xml_parse_result parsed = document.load_buffer(text.data(), text.size());
  if (!parsed) {
    throw base::Error(base::Kind::kUsage, source, 0, fmt::format("is no Metalink: {}", parsed.description()));
  }
  const pugi::xml_node root = document.document_element();
  if (local_name(root) != "metalink") throw base::Error(base::Kind::kUsage, source, 0, "is XML, but no Metalink");
  std::vector<Wanted> all;
  Parser parser(source);
  for (const pugi::xml_node& child : root.children()) {
    if (local_name(child) == "file") all.push_back(parser.file(child));
  }
  if (all.empty()) throw base::Error(base::Kind::kUsage, source, 0, "is a Metalink without files (RFC 5854)");
  return all;
}

}  // namespace argosy::http
