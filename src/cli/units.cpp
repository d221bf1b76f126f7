#include "cli/units.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>

namespace argosy::cli {

namespace {

constexpr double kLongestSeconds = 1e9;

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// Takes the unit off the end of `text`; 0 when what stands behind the number is none.
std::int64_t take_unit(std::string_view& text) {
  const std::size_t number = static_cast<std::size_t>(
      std::find_if(text.begin(), text.end(), [](char c) { return !is_digit(c) && c != '.'; }) - text.begin());
  std::string_view unit = text.substr(number);
  text = text.substr(0, number);
  if (!unit.empty() && (unit.back() == 'B' || unit.back() == 'b')) unit.remove_suffix(1);
  if (unit.empty()) return 1;
  constexpr std::string_view kLetters = "kmgt";
  const char letter = static_cast<char>(unit[0] | 0x20);
  const std::size_t power = kLetters.find(letter);
  const bool binary = unit.size() == 2 && (unit[1] | 0x20) == 'i';
  if (power == std::string_view::npos || (unit.size() > 1 && !binary)) return 0;
  std::int64_t factor = 1;
  for (std::size_t i = 0; i <= power; ++i) factor *= binary ? 1024 : 1000;
  return factor;
}

}  // namespace

std::optional<std::int64_t> parse_size(std::string_view text) {
  const std::int64_t unit = take_unit(text);
  if (unit == 0) return std::nullopt;
  // In integers, digit by digit: a double holds no more than 53 bits of a size.
  const std::size_t point = std::min(text.find('.'), text.size());
  const std::string_view whole = text.substr(0, point);
  const std::string_view fraction = point < text.size() ? text.substr(point + 1) : std::string_view();
  constexpr std::size_t kMostFractionDigits = 12;  // 10^12 times the largest unit's digits stays within 128 bits
  if (whole.empty() || (point < text.size() && fraction.empty()) || fraction.size() > kMostFractionDigits ||
      !std::all_of(fraction.begin(), fraction.end(), is_digit)) {
    return std::nullopt;
  }
  std::int64_t bytes = 0;
  const auto [end, error] = std::from_chars(whole.data(), whole.data() + whole.size(), bytes);
  if (error != std::errc() || end != whole.data() + whole.size()) return std::nullopt;
  if (__builtin_mul_overflow(bytes, unit, &bytes)) return std::nullopt;
  __extension__ using Wide = __int128;
  Wide numerator = 0;
  Wide denominator = 1;
  for (const char digit : fraction) {
    numerator = numerator * 10 + (digit - '0');
    denominator *= 10;
  }
  const Wide part = numerator * unit;
  if (unit == 1 && part != 0) return std::nullopt;
  // "1.1Ki" is 1126.4 bytes: whole bytes, rounded down.
  if (__builtin_add_overflow(bytes, static_cast<std::int64_t>(part / denominator), &bytes)) return std::nullopt;
  return bytes;
}

std::optional<std::int64_t> parse_rate(std::string_view text) {
  if (text.ends_with("/s")) text.remove_suffix(2);
  return parse_size(text);
}

std::optional<double> parse_seconds(std::string_view text) {
  if (text.ends_with("s")) text.remove_suffix(1);
  if (text.empty() || !is_digit(text[0])) return std::nullopt;
  double seconds = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds, std::chars_format::fixed);
  if (error != std::errc() || end != text.data() + text.size() || seconds > kLongestSeconds) return std::nullopt;
  return seconds;
}

std::optional<int> parse_count(std::string_view text) {
  if (text.empty() || !is_digit(text[0])) return std::nullopt;
  int count = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return count;
}

std::string format_size(std::int64_t bytes) {
  if (bytes < 1024) return fmt::format("{} B", bytes);
  constexpr std::array kUnits = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  double value = static_cast<double>(bytes) / 1024;
  std::size_t unit = 0;
  // 1023.995 would be shown as "1024.00": that is one of the next unit.
  while (value >= 1023.995 && unit + 1 < kUnits.size()) {
    value /= 1024;
    ++unit;
  }
  return fmt::format("{:.{}f} {}", value, value < 9.995 ? 2 : value < 99.95 ? 1 : 0, kUnits[unit]);
}

std::string format_rate(double bytes_a_second) {
  if (!(bytes_a_second > 0)) return "0 B/s";
  constexpr std::array kUnits = {"B/s", "kB/s", "MB/s", "GB/s", "TB/s"};
  std::size_t unit = 0;
  while (bytes_a_second >= 999.5 && unit + 1 < kUnits.size()) {
    bytes_a_second /= 1000;
    ++unit;
  }
  return fmt::format("{:.{}f} {}", bytes_a_second, bytes_a_second < 9.95 && unit > 0 ? 1 : 0, kUnits[unit]);
}

std::string format_seconds(double seconds) {
  if (!(seconds > 0)) seconds = 0;
  if (seconds < 9.995) return fmt::format("{:.2f} s", seconds);
  if (seconds < 59.95) return fmt::format("{:.1f} s", seconds);
  return format_clock(seconds);
}

std::string format_clock(double seconds) {
  const auto whole = static_cast<std::int64_t>(std::clamp(std::round(seconds), 0.0, kLongestSeconds));
  if (whole < 3600) return fmt::format("{}:{:02}", whole / 60, whole % 60);
  return fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60);
}

}  // namespace argosy::cli
