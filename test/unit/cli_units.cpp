#include "cli/units.h"

#include <gtest/gtest.h>

#include <limits>

namespace argosy::cli {
namespace {

TEST(CliUnits, ReadsSizes) {
  EXPECT_EQ(parse_size("0"), 0);
  EXPECT_EQ(parse_size("4096"), 4096);
  EXPECT_EQ(parse_size("4096B"), 4096);
  EXPECT_EQ(parse_size("1k"), 1000);
  EXPECT_EQ(parse_size("1KB"), 1000);
  EXPECT_EQ(parse_size("64MiB"), 64 << 20);
  EXPECT_EQ(parse_size("64mib"), 64 << 20);
  EXPECT_EQ(parse_size("1.5G"), 1'500'000'000);
  EXPECT_EQ(parse_size("0.5Ki"), 512);
  EXPECT_EQ(parse_size("1.1Ki"), 1126);
  EXPECT_EQ(parse_size("2Ti"), std::int64_t{2} << 40);
  EXPECT_EQ(parse_size("9223372036854775807"), std::numeric_limits<std::int64_t>::max());
}

TEST(CliUnits, RefusesWhatIsNoSize) {
  for (const char* text :
       {"",    "B",     "k",  ".",  ".5k",  "5.",  "5.k",  "-1",  "+1",  "1.5",    "1 k",
        "1kk", "1kiBB", "1p", "1i", "0x10", "12q", "1,5G", "1e3", "nan", "1.5.5G", "1.0000000000001G",
        " 1",  "1 "}) {
    EXPECT_FALSE(parse_size(text)) << text;
  }
}

TEST(CliUnits, RefusesSizesThatOverflow) {
  for (const char* text :
       {"9223372036854775808", "9223372036854776K", "8388608Ti", "8388607.9999999Ti9", "99999999999T"}) {
    EXPECT_FALSE(parse_size(text)) << text;
  }
  EXPECT_EQ(parse_size("8388607Ti"), std::int64_t{8388607} << 40);
  EXPECT_EQ(parse_size("8388607.5Ti"), (std::int64_t{8388607} << 40) + (std::int64_t{1} << 39));
}

TEST(CliUnits, ReadsRates) {
  EXPECT_EQ(parse_rate("100M"), 100'000'000);
  EXPECT_EQ(parse_rate("1.5GB/s"), 1'500'000'000);
  EXPECT_EQ(parse_rate("0"), 0);
  EXPECT_FALSE(parse_rate("/s"));
  EXPECT_FALSE(parse_rate("100M/h"));
}

TEST(CliUnits, ReadsSeconds) {
  EXPECT_EQ(parse_seconds("60"), 60);
  EXPECT_EQ(parse_seconds("0.5s"), 0.5);
  EXPECT_EQ(parse_seconds("0"), 0);
  for (const char* text : {"", "s", "-1", "nan", "inf", "1e99", "1m", "2000000000", "0x1"}) {
    EXPECT_FALSE(parse_seconds(text)) << text;
  }
}

TEST(CliUnits, ReadsCounts) {
  EXPECT_EQ(parse_count("0"), 0);
  EXPECT_EQ(parse_count("17"), 17);
  for (const char* text : {"", "-1", "+1", "1.0", "99999999999", "1a", "0x1"}) EXPECT_FALSE(parse_count(text)) << text;
}

TEST(CliUnits, WritesSizes) {
  EXPECT_EQ(format_size(0), "0 B");
  EXPECT_EQ(format_size(1023), "1023 B");
  EXPECT_EQ(format_size(1024), "1.00 KiB");
  EXPECT_EQ(format_size(1073741824), "1.00 GiB");
  EXPECT_EQ(format_size((std::int64_t{1} << 20) - 1), "1.00 MiB");
  EXPECT_EQ(format_size(12'900'000), "12.3 MiB");
  EXPECT_EQ(format_size(471'859'200), "450 MiB");
  EXPECT_EQ(format_size(std::numeric_limits<std::int64_t>::max()), "8.00 EiB");
}

TEST(CliUnits, WritesRatesAndTimes) {
  EXPECT_EQ(format_rate(0), "0 B/s");
  EXPECT_EQ(format_rate(999.4), "999 B/s");
  EXPECT_EQ(format_rate(999.6), "1.0 kB/s");
  EXPECT_EQ(format_rate(2.6e9), "2.6 GB/s");
  EXPECT_EQ(format_rate(118e6), "118 MB/s");
  EXPECT_EQ(format_seconds(0.41), "0.41 s");
  EXPECT_EQ(format_seconds(12.34), "12.3 s");
  EXPECT_EQ(format_seconds(754), "12:34");
  EXPECT_EQ(format_seconds(-1), "0.00 s");
  EXPECT_EQ(format_clock(7), "0:07");
  EXPECT_EQ(format_clock(3723), "1:02:03");
}

}  // namespace
}  // namespace argosy::cli
