#include "base/error.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

namespace argosy::base {

namespace {

// The length of the well-formed UTF-8 sequence at the start of `bytes`, or 0 (Unicode 15, table 3-7).
std::size_t utf8_length(std::string_view bytes) {
  const auto at = [&](std::size_t i) { return static_cast<unsigned char>(bytes[i]); };
  const auto in = [&](std::size_t i, unsigned low, unsigned high) {
    return i < bytes.size() && at(i) >= low && at(i) <= high;
  };
  if (bytes.empty()) return 0;
  const unsigned first = at(0);
  if (first < 0x80) return 1;
  if (first >= 0xC2 && first <= 0xDF) return in(1, 0x80, 0xBF) ? 2 : 0;
  if (first >= 0xE0 && first <= 0xEF) {
    const unsigned low = first == 0xE0 ? 0xA0 : 0x80;
    const unsigned high = first == 0xED ? 0x9F : 0xBF;
    return in(1, low, high) && in(2, 0x80, 0xBF) ? 3 : 0;
  }
  if (first >= 0xF0 && first <= 0xF4) {
    const unsigned low = first == 0xF0 ? 0x90 : 0x80;
    const unsigned high = first == 0xF4 ? 0x8F : 0xBF;
    return in(1, low, high) && in(2, 0x80, 0xBF) && in(3, 0x80, 0xBF) ? 4 : 0;
  }
  return 0;
}

int severity(Kind kind) {
  // The order of DESIGN's table: 6, 5, 7, 4, 3; wrong usage ends a job before anything else can happen.
  constexpr std::array kOrder = {Kind::kNone,   Kind::kUsage,     Kind::kSource, Kind::kDestination,
                                 Kind::kOrigin, Kind::kIntegrity, Kind::kSystem};
  return static_cast<int>(std::find(kOrder.begin(), kOrder.end(), kind) - kOrder.begin());
}

}  // namespace

Error::Error(Failure failure) : std::runtime_error(describe(failure)), failure_(std::move(failure)) {}

Error::Error(Kind kind, std::string path, int error_number, std::string message)
    : Error(Failure{kind, std::move(path), -1, {}, error_number, std::move(message)}) {}

Error system_error(Kind kind, std::string_view path, int error_number, std::string_view what) {
  return {kind, std::string(path), error_number, fmt::format("{}: {}", what, std::strerror(error_number))};
}

bool more_telling(Kind a, Kind b) { return severity(a) > severity(b); }

int exit_code(bool anything_succeeded, const std::vector<Failure>& failures) {
  Kind worst = Kind::kNone;
  for (const Failure& failure : failures) {
    if (more_telling(failure.kind, worst)) worst = failure.kind;
  }
  if (worst == Kind::kNone) return 0;
  return anything_succeeded ? kExitPartial : static_cast<int>(worst);
}

std::string_view kind_name(Kind kind) {
  switch (kind) {
    case Kind::kNone:
      return "none";
    case Kind::kUsage:
      return "usage";
    case Kind::kSource:
      return "source";
    case Kind::kDestination:
      return "destination";
    case Kind::kIntegrity:
      return "integrity";
    case Kind::kSystem:
      return "system";
    case Kind::kOrigin:
      return "origin";
  }
  return "none";
}

std::string printable(std::string_view bytes) {
  std::string text;
  text.reserve(bytes.size());
  while (!bytes.empty()) {
    const std::size_t length = utf8_length(bytes);
    const auto first = static_cast<unsigned char>(bytes[0]);
    // C1 control characters (U+0080 to U+009F) move a terminal's cursor just as C0 ones do.
    const bool c1 = length == 2 && first == 0xC2 && static_cast<unsigned char>(bytes[1]) < 0xA0;
    if (first == '\n') {
      text += "\\n";
    } else if (first == '\t') {
      text += "\\t";
    } else if (first == '\r') {
      text += "\\r";
    } else if (length == 0 || first < 0x20 || first == 0x7F) {
      text += fmt::format("\\x{:02x}", first);
    } else if (c1) {
      text += fmt::format("\\x{:02x}\\x{:02x}", first, static_cast<unsigned char>(bytes[1]));
    } else {
      text += bytes.substr(0, length);
    }
    bytes.remove_prefix(std::max<std::size_t>(length, 1));
  }
  return text;
}

std::string printable_name(std::string_view bytes) {
  std::string text;
  while (!bytes.empty()) {
    const std::size_t end = std::min(bytes.find('\\'), bytes.size());
    text += printable(bytes.substr(0, end));
    if (end < bytes.size()) text += "\\\\";
    bytes.remove_prefix(std::min(end + 1, bytes.size()));
  }
  return text;
}

bool is_utf8(std::string_view bytes) {
  while (!bytes.empty()) {
    const std::size_t length = utf8_length(bytes);
    if (length == 0) return false;
    bytes.remove_prefix(length);
  }
  return true;
}

std::string utf8_or_replacement(std::string_view bytes) {
  std::string text;
  text.reserve(bytes.size());
  while (!bytes.empty()) {
    const std::size_t length = utf8_length(bytes);
    if (length == 0) {
      text += "\xEF\xBF\xBD";
      bytes.remove_prefix(1);
    } else {
      text += bytes.substr(0, length);
      bytes.remove_prefix(length);
    }
  }
  return text;
}

std::string describe(const Failure& failure) {
  std::string line;
  if (!failure.path.empty()) line += printable_name(failure.path) + ": ";
  line += printable(failure.message);
  if (failure.rank >= 0 && !failure.host.empty()) {
    line += fmt::format(" (rank {} on {})", failure.rank, printable(failure.host));
  } else if (failure.rank >= 0) {
    line += fmt::format(" (rank {})", failure.rank);
  } else if (!failure.host.empty()) {
    line += fmt::format(" (host {})", printable(failure.host));
  }
  return line;
}

}  // namespace argosy::base
