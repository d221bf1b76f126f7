// Sizes, rates and times as a command line and a terminal write them. Pure text, no locale.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace argosy::cli {

// Bytes from "64MiB", "1.5G", "300k", "4096B": K, M, G, T are powers of 1000, Ki, Mi, Gi, Ti of 1024, in either case,
// an optional B behind. Nothing for anything else: negative numbers, unknown units, a fraction of a byte ("1.5"), more
// than 2^63 - 1 bytes.
std::optional<std::int64_t> parse_size(std::string_view text);

// Bytes a second: a size, with an optional "/s" behind.
std::optional<std::int64_t> parse_rate(std::string_view text);

// Seconds, 0 or more, from "60", "0.5", "2s"; at most a thousand million.
std::optional<double> parse_seconds(std::string_view text);

// A whole number in decimal digits, no sign.
std::optional<int> parse_count(std::string_view text);

// "17 B", "1.00 GiB": at most four significant digits, powers of 1024.
std::string format_size(std::int64_t bytes);

// "2.6 GB/s": powers of 1000, as network cards and --bwlimit count.
std::string format_rate(double bytes_a_second);

// "0.41 s", "12.3 s", "1:02:03": for a time that has passed.
std::string format_seconds(double seconds);

// "0:07", "12:34", "1:02:03": for a time that is still to come.
std::string format_clock(double seconds);

}  // namespace argosy::cli
