#include "cli/output.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/fd.h"
#include "cli/outcome.h"

namespace argosy::cli {
namespace {

constexpr const char* kOpenMpiKilled =
    "noise\n----------\nPrimary job  terminated normally, but 1 process returned\na non-zero exit code. Per "
    "user-direction, the "
    "job has been aborted.\n-----\nmpiexec.openmpi noticed that process rank 1 with PID 0 on node h2 exited on signal "
    "9 "
    "(Killed).\n----\n";
constexpr const char* kOpenMpiExited =
    "mpirun detected that one or more processes exited with non-zero status, thus causing\nthe job to be terminated. "
    "The first "
    "process to do so was:\n\n  Process name: [[29146,1],1]\n  Exit code:    6\n----\n";
constexpr const char* kHydraKilled =
    "\n====\n=   BAD TERMINATION OF ONE OF YOUR APPLICATION PROCESSES\n=   PID 7457 RUNNING AT h2\n=   EXIT CODE: "
    "11\n=   "
    "CLEANING UP REMAINING PROCESSES\n====\nYOUR APPLICATION TERMINATED WITH THE EXIT STRING: Segmentation fault "
    "(signal 11)\n"
    "This typically refers to a problem with your application.\n";

TEST(CliOutput, ReadsBanners) {
  EXPECT_EQ(read_banner(kOpenMpiKilled), "rank 1 on h2 was killed by signal 9 (Killed)");
  EXPECT_EQ(read_banner(kOpenMpiExited), "rank 1 ended with code 6");
  EXPECT_EQ(read_banner(kHydraKilled), "a rank on h2 was killed by signal 11 (Segmentation fault)");
  EXPECT_EQ(read_banner("=   PID 1 RUNNING AT h2\n=   EXIT CODE: 1\nEXIT STRING: Hangup (signal 1)"),
            "a rank on h2 ended too early");
  for (const char* text : {"", "nothing known", "noticed that process rank ", "Process name: [[", " RUNNING AT"}) {
    EXPECT_EQ(read_banner(text), "") << text;
  }
  EXPECT_EQ(read_banner(std::string(100'000, ' ') + kOpenMpiKilled), "rank 1 on h2 was killed by signal 9 (Killed)");
}

TEST(CliOutput, LastWordsAreNoBanners) {
  EXPECT_EQ(last_words(kOpenMpiKilled, 5), std::vector<std::string>{"noise"});
  EXPECT_EQ(last_words(kHydraKilled, 5), std::vector<std::string>{});
  EXPECT_EQ(last_words("a\nb\n\n  c \nd", 2), (std::vector<std::string>{"c", "d"}));
}

TEST(CliOutput, DescribesMpiexecsEnd) {
  EXPECT_EQ(describe_end(137 << 8), "mpiexec ended with code 137");
  EXPECT_EQ(describe_end(9), "mpiexec was killed by signal 9 (Killed)");
}

TEST(CliOutput, CutsLinesAndForgets) {
  std::array<int, 2> ends{};
  ASSERT_EQ(pipe2(ends.data(), O_NONBLOCK | O_CLOEXEC), 0);
  const base::Fd in(ends[0]);
  base::Fd out(ends[1]);
  std::vector<std::string> lines;
  OutputReader reader([&](std::string_view line) { lines.emplace_back(line); });
  ASSERT_EQ(write(out.get(), "one\ntw", 6), 6);
  EXPECT_TRUE(reader.read(in.get()));
  EXPECT_EQ(lines, std::vector<std::string>{"one"});
  ASSERT_EQ(write(out.get(), "o\n\nthree", 8), 8);
  EXPECT_TRUE(reader.read(in.get()));
  const std::string much(50'000, 'x');
  for (int i = 0; i < 10; ++i) {
    ASSERT_EQ(write(out.get(), much.data(), much.size()), static_cast<ssize_t>(much.size()));
    EXPECT_TRUE(reader.read(in.get()));
  }
  EXPECT_LE(reader.kept().size(), 200'000U);
  out = base::Fd();
  EXPECT_FALSE(reader.read(in.get()));
  reader.finish();
  EXPECT_EQ(lines[1], "two");
  EXPECT_EQ(lines[2], "");
  EXPECT_EQ(lines[3].substr(0, 6), "threex");
  std::size_t bytes = 0;
  for (std::size_t i = 3; i < lines.size(); ++i) {
    EXPECT_LE(lines[i].size(), 8192U);
    bytes += lines[i].size();
  }
  EXPECT_EQ(bytes, 500'005U);
}

command::CommonOptions human() { return {}; }

TEST(CliOutcome, ADeathSaysWhatIsKnown) {
  Outcome outcome("send");
  outcome.add_death(137 << 8, kOpenMpiKilled, false);
  const auto report = outcome.report(0, 1);
  EXPECT_EQ(report.exit, 6);
  EXPECT_EQ(report.command, "send");
  EXPECT_EQ(report.errors[0].kind, base::Kind::kSystem);
  const auto rendered = outcome.rendered(report, human());
  EXPECT_EQ(rendered.out, "");
  // The cause, once: what else mpiexec says is about the others that have lost it.
  EXPECT_EQ(rendered.err, "argosy: the job died: rank 1 on h2 was killed by signal 9 (Killed)\n");
}

TEST(CliOutcome, WhatARankSaidIsNotSaidAgain) {
  Outcome outcome("send");
  outcome.note_shown("argosy: rank 1 waits for rank 0");
  outcome.add_death(6 << 8, kOpenMpiExited, false);
  const auto report = outcome.report(0, 1);
  EXPECT_EQ(report.exit, 6);
  EXPECT_EQ(report.errors[0].message, "rank 1 waits for rank 0");
  EXPECT_EQ(outcome.rendered(report, human()).err, "");
}

TEST(CliOutcome, TheResultStands) {
  Outcome outcome("send");
  command::Report result;
  result.command = "send";
  result.files = 1;
  outcome.set_result(result);
  outcome.set_signal(2);
  outcome.add_failure("later");
  EXPECT_EQ(outcome.report(0.25, 2).exit, 0);
  EXPECT_EQ(outcome.report(0.25, 2).seconds.start, 0.25);
  EXPECT_EQ(outcome.report(0.25, 2).seconds.total, 2);
  EXPECT_EQ(outcome.rendered(outcome.report(0, 1), human()).err, "");
}

TEST(CliOutcome, SignalsDecideTheCode) {
  for (const auto& [signal_number, exit] : {std::pair(2, 130), std::pair(15, 143), std::pair(1, 129)}) {
    Outcome outcome("send");
    outcome.set_signal(signal_number);
    outcome.set_signal(9);
    EXPECT_EQ(outcome.report(0, 1).exit, exit);
    EXPECT_NE(outcome.rendered(outcome.report(0, 1), human()).err.find("argosy clean DIR"), std::string::npos);
    command::Report result;
    result.exit = 130;
    outcome.set_result(result);
    EXPECT_EQ(outcome.report(0, 1).exit, exit);
  }
}

TEST(CliOutcome, FailuresHaveTheirOwnLines) {
  Outcome outcome("send");
  outcome.add_failure(6, {base::Kind::kSystem, "", -1, "h9", 0, "cannot be reached"}, "host h9: cannot be reached");
  outcome.add_failure("another");
  const auto report = outcome.report(0, 1);
  command::CommonOptions json;
  json.json = true;
  const auto rendered = outcome.rendered(report, json);
  EXPECT_EQ(rendered.err, "argosy: host h9: cannot be reached\nargosy: another\n");
  const auto document = nlohmann::json::parse(rendered.out);
  EXPECT_EQ(document["exit"], 6);
  EXPECT_EQ(document["errors"][0]["host"], "h9");
  EXPECT_EQ(document["errors"][0]["message"], "cannot be reached");
}

}  // namespace
}  // namespace argosy::cli
