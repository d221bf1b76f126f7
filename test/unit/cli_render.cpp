#include "cli/render.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "base/fd.h"
#include "cli/progress.h"

namespace argosy::cli {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

command::RankReport rank_report(int rank, const char* host, std::int64_t read, std::int64_t written) {
  command::RankReport report;
  report.rank = rank;
  report.host = host;
  report.bytes_read = read;
  report.bytes_written = written;
  return report;
}

command::Report one_file() {
  command::Report report;
  report.command = "send";
  report.files = 1;
  report.bytes = report.bytes_moved = 1073741824;
  report.name = "big.bin";
  report.digest = "xxh3:abc";
  report.seconds.total = 0.41;
  report.ranks = {rank_report(0, "a", 1073741824, 0), rank_report(1, "b", 0, 1073741824)};
  return report;
}

TEST(CliRender, OneFile) {
  EXPECT_EQ(
      result_line(one_file()),
      "sent big.bin: 1073741824 bytes (1.00 GiB) read, 1073741824 written and verified, 0.41 s, 2.6 GB/s, xxh3:abc");
}

TEST(CliRender, NamesAreHarmless) {
  auto report = one_file();
  report.name = "a\n\x1b[2J\xff";
  EXPECT_EQ(result_line(report).substr(0, 28), "sent a\\n\\x1b[2J\\xff: 1073741");
}

TEST(CliRender, SeveralFilesAndNone) {
  auto report = one_file();
  report.name.clear();
  report.digest.clear();
  report.files = 12;
  EXPECT_EQ(result_line(report).substr(0, 15), "sent 12 files: ");
  report.files = 1;
  EXPECT_EQ(result_line(report).substr(0, 13), "sent 1 file: ");
  report.bytes_moved = 0;
  report.ranks.clear();
  EXPECT_EQ(result_line(report), "sent 1 file: 0 bytes read, 0 written and verified, 0.41 s, already in place");
}

TEST(CliRender, QuietAndJson) {
  command::CommonOptions options;
  EXPECT_EQ(render(one_file(), options).out, result_line(one_file()) + "\n");
  options.quiet = true;
  EXPECT_EQ(render(one_file(), options).out, "");
  options.json = true;
  const auto document = nlohmann::json::parse(render(one_file(), options).out);
  EXPECT_EQ(document["bytes"], 1073741824);
}

TEST(CliRender, ErrorsAreCapped) {
  command::Report report;
  report.command = "send";
  report.exit = 3;
  for (int i = 0; i < 30; ++i)
    report.errors.push_back({base::Kind::kSource, "f\n", 1, "h2", 2, "No such file or directory"});
  report.errors_total = 5000;
  const auto rendered = render(report, {});
  EXPECT_EQ(rendered.out, "");
  EXPECT_EQ(std::count(rendered.err.begin(), rendered.err.end(), '\n'), 21);
  EXPECT_EQ(rendered.err.substr(0, 54), "argosy: f\\n: No such file or directory (rank 1 on h2)\n");
  EXPECT_NE(rendered.err.find("argosy: ... and 4980 more"), std::string::npos);
  report.files = 3;  // some succeeded
  report.exit = 1;
  EXPECT_EQ(render(report, {}).out.substr(0, 14), "sent 3 files: ");
}

TEST(CliRender, AnInterruptedJobTellsHowItGoesOn) {
  command::Report report;
  report.command = "bcast";
  report.exit = 130;
  EXPECT_EQ(render(report, {}).err,
            "argosy: the same command again goes on from here, and argosy clean DIR takes away what is left\n");
  command::CommonOptions quiet;
  quiet.quiet = true;
  EXPECT_EQ(render(report, quiet).err, "");
  report.command = "verify";
  EXPECT_EQ(render(report, {}).err, "");
  report.command = "gather";
  EXPECT_NE(render(report, {}).err, "");
  report.stripe.emplace();
  EXPECT_EQ(render(report, {}).err, "");
  report = {};
  report.command = "bcast";
  report.exit = 6;
  EXPECT_EQ(render(report, {}).err, "");
}

command::Progress some_progress() { return {"transfer", 471859200, 1073741824, 0, 1}; }

TEST(CliProgress, DrawsABar) {
  EXPECT_EQ(progress_bar(some_progress(), 1.2e8, 80),
            " 43% [=============>                  ] 450 MiB of 1.00 GiB  120 MB/s  0:06 left");
  EXPECT_EQ(progress_bar(some_progress(), 0, 80),
            " 43% [=================>                      ] 450 MiB of 1.00 GiB");
  EXPECT_EQ(progress_bar({"transfer", 10, 10, 1, 1}, 5, 80),
            "100% [========================================] 10 B of 10 B  5 B/s");
  EXPECT_EQ(progress_bar({"scan", 0, 0, 0, 0}, 0, 40), "100% [======================] 0 B of 0 B");
}

TEST(CliProgress, FitsItsTerminal) {
  for (int width = 0; width < 130; ++width) {
    EXPECT_LE(progress_bar(some_progress(), 1.2e8, width).size(), static_cast<std::size_t>(width));
  }
  EXPECT_EQ(progress_bar(some_progress(), 1.2e8, 50), " 43% 450 MiB of 1.00 GiB  120 MB/s  0:06 left");
}

TEST(CliProgress, UnknownTotals) {
  EXPECT_EQ(progress_bar({"transfer", 471859200, -1, 0, -1}, 1.2e8, 80), "450 MiB  120 MB/s");
  EXPECT_EQ(progress_line({"transfer", 471859200, -1, 0, -1}, 0), "transfer: 450 MiB");
}

TEST(CliProgress, LinesOfALog) {
  EXPECT_EQ(progress_line(some_progress(), 1.2e8), "transfer: 450 MiB of 1.00 GiB (43%), 120 MB/s, 0:06 left");
  EXPECT_EQ(progress_line({"transfer", 1, 2, 3, 9}, 0), "transfer: 1 B of 2 B, 3 of 9 files (50%)");
}

TEST(CliProgress, MeasuresTheLastSeconds) {
  RateMeter meter;
  const auto start = RateMeter::Clock::now();
  EXPECT_EQ(meter.rate(), 0);
  meter.add(start, 0);
  EXPECT_EQ(meter.rate(), 0);
  meter.add(start + milliseconds(100), 100);
  EXPECT_EQ(meter.rate(), 0);
  for (int second = 1; second <= 20; ++second) meter.add(start + seconds(second), 1000 * second);
  EXPECT_DOUBLE_EQ(meter.rate(), 1000);
  for (int second = 21; second <= 30; ++second) meter.add(start + seconds(second), 20'000);
  EXPECT_DOUBLE_EQ(meter.rate(), 0);
  meter.add(start + seconds(31), 5);  // counted anew
  EXPECT_EQ(meter.rate(), 0);
}

// What a display writes into a pipe.
std::string displayed(command::ProgressStyle style, int updates) {
  std::array<int, 2> ends{};
  EXPECT_EQ(pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK), 0);
  const base::Fd in(ends[0]);
  const base::Fd out(ends[1]);
  ProgressDisplay display(out.get(), style);
  const auto start = ProgressDisplay::Clock::now();
  for (int second = 0; second < updates; ++second) {
    display.update({"transfer", second * 1'000'000, 20'000'000, 0, 1}, start + seconds(second));
  }
  display.erase();
  std::array<char, 65536> text{};
  const ssize_t count = read(in.get(), text.data(), text.size());
  return {text.data(), static_cast<std::size_t>(std::max<ssize_t>(count, 0))};
}

TEST(CliProgress, PlainLinesEveryFiveSeconds) {
  const std::string expected =
      "argosy: transfer: 4.77 MiB of 19.1 MiB (25%), 1.0 MB/s, 0:15 left\n"
      "argosy: transfer: 9.54 MiB of 19.1 MiB (50%), 1.0 MB/s, 0:10 left\n";
  EXPECT_EQ(displayed(command::ProgressStyle::kPlain, 12), expected);
  EXPECT_EQ(displayed(command::ProgressStyle::kAuto, 12), expected);  // a pipe is no terminal
  EXPECT_EQ(displayed(command::ProgressStyle::kPlain, 4), "");
  EXPECT_EQ(displayed(command::ProgressStyle::kNone, 12), "");
}

TEST(CliProgress, ABarIsErased) {
  const std::string text = displayed(command::ProgressStyle::kBar, 2);
  EXPECT_EQ(text.substr(0, 6), "\r  0% ");
  EXPECT_TRUE(text.ends_with("\r\x1b[K"));
  EXPECT_EQ(text.find('\n'), std::string::npos);
}

TEST(CliProgress, NeverBlocks) {
  std::array<int, 2> ends{};
  ASSERT_EQ(pipe2(ends.data(), O_CLOEXEC), 0);
  const base::Fd in(ends[0]);
  const base::Fd out(ends[1]);
  const std::string page(4096, 'x');
  while (can_write(out.get())) ASSERT_EQ(write(out.get(), page.data(), page.size()), 4096);
  ProgressDisplay display(out.get(), command::ProgressStyle::kBar);
  display.update(some_progress());
  display.erase();
}

}  // namespace
}  // namespace argosy::cli
