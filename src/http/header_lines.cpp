#include "http/header_lines.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <sstream>
#include <string_view>

#include "base/error.h"

namespace argosy::http {

std::vector<std::string> parse_header_lines(const std::string& text, const std::string& source) {
  // What these say is ours to say, or would be another request.
  constexpr std::array kOurs = {"accept-encoding", "connection", "content-length",    "if-match",
                                "if-none-match",   "if-range",   "if-modified-since", "if-unmodified-since",
                                "range",           "te",         "transfer-encoding"};
  std::vector<std::string> lines;
  std::istringstream stream(text);
  std::string line;
  for (int number = 1; std::getline(stream, line); ++number) {
    while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.pop_back();
    if (line.empty() || line.front() == '#') continue;
    const auto refuse = [&](const char* why) {
      return base::Error(base::Kind::kUsage, source, 0, fmt::format("line {}: {}", number, why));
    };
    const std::size_t colon = line.find(':');
    if (colon == std::string::npos || colon == 0) throw refuse("is no header field: NAME: VALUE is");
    std::string name = line.substr(0, colon);
    for (char& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    const bool token = std::all_of(name.begin(), name.end(), [](unsigned char c) {
      return std::isalnum(c) != 0 ||
             std::string_view("!#$%&'*+-.^_`|~").find(static_cast<char>(c)) != std::string::npos;
    });
    const bool clean =
        std::none_of(line.begin(), line.end(), [](unsigned char c) { return (c < ' ' && c != '\t') || c == 0x7F; });
    if (!token || !clean) throw refuse("is no header field: NAME: VALUE is");
    if (std::find(kOurs.begin(), kOurs.end(), name) != kOurs.end()) {
      throw refuse("this header field is argosy's own to set");
    }
    lines.push_back(line);
  }
  return lines;
}

}  // namespace argosy::http
