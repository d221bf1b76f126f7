#include "cli/parse.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace argosy::cli {
namespace {

using Words = std::vector<std::string>;

command::Options accepted(const Words& words) {
  Parsed parsed = parse(words);
  EXPECT_TRUE(parsed.options) << parsed.err;
  return parsed.options ? *parsed.options : command::Options{};
}

command::SendOptions sent(const Words& words) { return std::get<command::SendOptions>(accepted(words).command); }

// Exit 2 and one line, which says `about`.
void expect_refused(const Words& words, const std::string& about) {
  const Parsed parsed = parse(words);
  EXPECT_FALSE(parsed.options) << about;
  EXPECT_EQ(parsed.exit, 2) << about;
  EXPECT_EQ(parsed.out, "") << about;
  EXPECT_EQ(std::count(parsed.err.begin(), parsed.err.end(), '\n'), 1) << parsed.err;
  EXPECT_EQ(parsed.err.rfind("argosy: ", 0), 0U) << parsed.err;
  EXPECT_NE(parsed.err.find(about), std::string::npos) << parsed.err;
}

Words send_with(Words options) {
  options.insert(options.begin(), "send");
  options.insert(options.end(), {"a", "b/"});
  return options;
}

TEST(CliParse, TakesFilesAndFolder) {
  const auto send = sent({"send", "a", "b", "out/"});
  EXPECT_EQ(send.files, (Words{"a", "b"}));
  EXPECT_EQ(send.directory, "out/");
  EXPECT_EQ(send.from, 0);
  EXPECT_EQ(send.to, 1);
}

TEST(CliParse, HasDefaults) {
  const auto common = accepted({"send", "a", "b"}).common;
  EXPECT_EQ(common.ranks, 0);
  EXPECT_EQ(common.memory, 64 << 20);
  EXPECT_EQ(common.chunk_size, 0);
  EXPECT_EQ(common.stall_timeout, 60);
  EXPECT_FALSE(common.json);
}

TEST(CliParse, TakesSharedOptionsBeforeAndBehindTheCommand) {
  for (const Words& words : {Words{"-n", "4", "--memory=128MiB", "--json", "send", "a", "b"},
                             Words{"send", "-n4", "a", "--memory", "128MiB", "b", "--json"}}) {
    const auto common = accepted(words).common;
    EXPECT_EQ(common.ranks, 4);
    EXPECT_EQ(common.memory, 128 << 20);
    EXPECT_TRUE(common.json);
  }
}

TEST(CliParse, TakesEveryOption) {
  const auto options = accepted({"send",        "--ranks",
                                 "5",           "--hosts",
                                 "h1,h2:4",     "--launcher-args",
                                 "--mca x y",   "--memory",
                                 "1G",          "--chunk-size",
                                 "1MiB",        "--bwlimit",
                                 "100M",        "--stall-timeout",
                                 "0.5",         "--fsync",
                                 "--read-back", "-qv",
                                 "--progress",  "plain",
                                 "--from",      "2",
                                 "--to",        "3",
                                 "--as",        "x",
                                 "a",           "b"});
  EXPECT_EQ(options.common.ranks, 5);
  EXPECT_EQ(options.common.hosts, "h1,h2:4");
  EXPECT_EQ(options.common.launcher_args, "--mca x y");
  EXPECT_EQ(options.common.memory, 1'000'000'000);
  EXPECT_EQ(options.common.chunk_size, 1 << 20);
  EXPECT_EQ(options.common.bwlimit, 100'000'000);
  EXPECT_EQ(options.common.stall_timeout, 0.5);
  EXPECT_TRUE(options.common.fsync && options.common.read_back && options.common.quiet && options.common.verbose);
  EXPECT_EQ(options.common.progress, command::ProgressStyle::kPlain);
  const auto& send = std::get<command::SendOptions>(options.command);
  EXPECT_EQ(send.from, 2);
  EXPECT_EQ(send.to, 3);
  EXPECT_EQ(send.as, "x");
}

TEST(CliParse, TheLastOfTwoCounts) {
  EXPECT_EQ(accepted({"-n", "3", "send", "-n", "4", "a", "b"}).common.ranks, 4);
  EXPECT_EQ(sent({"send", "--as", "x", "--as=y", "a", "b"}).as, "y");
}

TEST(CliParse, NamesAreBytes) {
  for (const std::string name : {"[a,b]", "++", "send", "verify", "a b", "new\nline", "\xff\xfe", "{x}", "=", "a=b",
                                 "'", "\"q\"", "%%", "x:y", ":", "@x", "$HOME", "\\"}) {
    EXPECT_EQ(sent({"send", name, "other", "b"}).files, (Words{name, "other"})) << name;
    EXPECT_EQ(sent({"send", "--as", name, "a", "b"}).as, name) << name;
  }
}

TEST(CliParse, NothingIsAnOptionBehindTwoDashes) {
  const auto send = sent({"send", "--", "-x", "--json", "--", "-5", "out"});
  EXPECT_EQ(send.files, (Words{"-x", "--json", "--", "-5"}));
  EXPECT_EQ(send.directory, "out");
  EXPECT_EQ(sent({"send", "a", "b", "--", "-c"}).directory, "-c");
}

TEST(CliParse, ValuesMayLookLikeOptions) {
  EXPECT_EQ(accepted(send_with({"--launcher-args", "-iface ib0"})).common.launcher_args, "-iface ib0");
  EXPECT_EQ(accepted(send_with({"--launcher-args", "--"})).common.launcher_args, "--");
  EXPECT_EQ(accepted(send_with({"--launcher-args="})).common.launcher_args, "");
  EXPECT_EQ(sent(send_with({"--as", "--help"})).as, "--help");
}

TEST(CliParse, RefusesWrongWords) {
  expect_refused({"send"}, "no FILE");
  expect_refused({"send", "a"}, "DIR");
  expect_refused({"send", "--files-from", "list"}, "DIR");
  expect_refused({"frob", "a", "b"}, "unknown command 'frob'");
  expect_refused({"--json-ish", "send", "a", "b"}, "unknown option --json-ish");
  expect_refused(send_with({"--frob"}), "unknown option --frob");
  expect_refused(send_with({"-x"}), "unknown option -x");
  expect_refused(send_with({"-5"}), "unknown option -5");
  expect_refused(send_with({"-qx"}), "unknown option -x");
  expect_refused(send_with({"--json=yes"}), "--json takes no value");
  expect_refused({"send", "a", "b", "--as"}, "--as needs a value");
  expect_refused({"send", "a", "b", "-n"}, "-n needs a value");
  expect_refused({"--from", "1", "send", "a", "b"}, "--from belongs behind 'send'");
  expect_refused({"-n", "2"}, "no command");
}

TEST(CliParse, RefusesWrongValues) {
  for (const char* size : {"12q", "-1", "", "1.5", "9999999999999G", "0"}) {
    expect_refused(send_with({"--memory", size}), "--memory: ");
    expect_refused(send_with({"--chunk-size", size}), "--chunk-size: ");
  }
  for (const char* rate : {"fast", "-1", ""}) expect_refused(send_with({"--bwlimit", rate}), "--bwlimit: ");
  for (const char* time : {"-1", "", "nan", "soon"})
    expect_refused(send_with({"--stall-timeout", time}), "--stall-timeout: ");
  for (const char* ranks : {"-1", "0", "two", "", "2.5", "99999999999"})
    expect_refused(send_with({"-n", ranks}), "--ranks: ");
  for (const char* rank : {"-1", "x", ""}) {
    expect_refused(send_with({"--from", rank}), "--from: ");
    expect_refused(send_with({"--to", rank}), "--to: ");
  }
  expect_refused(send_with({"--progress", "loud"}), "--progress: ");
}

TEST(CliParse, ChunksFitIntoMemory) {
  expect_refused(send_with({"--memory", "1MiB"}), "--memory: at least 4.00 MiB");
  EXPECT_EQ(accepted(send_with({"--memory", "4MiB"})).common.memory, 4 << 20);
  expect_refused(send_with({"--chunk-size", "100000"}), "multiple of 256 KiB");
  expect_refused(send_with({"--chunk-size", "8MiB"}), "at most a sixteenth");
  EXPECT_EQ(accepted(send_with({"--chunk-size", "4MiB"})).common.chunk_size, 4 << 20);
}

TEST(CliParse, RefusesWrongHosts) {
  for (const char* hosts :
       {"", ",", "a,", "a:", "a:0", "a:x", "a:-1", "-oProxyCommand=x", "a b", "[::1", "[::1]x", "[zz]", "a:1:2"}) {
    expect_refused(send_with({"--hosts", hosts}), "--hosts: ");
  }
  expect_refused(send_with({"--hosts", "a", "--hostfile", "f"}), "together");
  expect_refused(send_with({"--launcher-args", "'x"}), "--launcher-args: the quote");
}

TEST(CliParse, RefusesRanksThatAreOne) {
  expect_refused(send_with({"--from", "1"}), "--from and --to are both rank 1");
  expect_refused(send_with({"--to", "0"}), "--from and --to are both rank 0");
}

TEST(CliParse, RefusesWrongNames) {
  for (const char* name : {"", "/", "a/b", ".", ".."}) expect_refused(send_with({"--as", name}), "--as: ");
  expect_refused(send_with({"--as", std::string(256, 'x')}), "at most 255 bytes");
  EXPECT_EQ(sent(send_with({"--as", std::string(255, 'x')})).as.size(), 255U);
  expect_refused({"send", "--as", "x", "a", "b", "out"}, "--as names a single FILE");
  expect_refused({"send", "--as", "x", "--files-from", "list", "out"}, "--as names a single FILE");
  expect_refused({"send", "", "out"}, "FILE is empty");
  expect_refused({"send", "a", ""}, "DIR is empty");
  expect_refused({"send", "--files-from", "", "a", "b"}, "--files-from: the value is empty");
}

TEST(CliParse, RefusesTwoSourcesOfOneName) {
  expect_refused({"send", "x/a", "y/a", "out"}, "two files are called 'a'");
  expect_refused({"send", "x/a/", "a", "out"}, "two files are called 'a'");
  EXPECT_EQ(sent({"send", "x/.", "y/.", "/", "..", "out"}).files.size(), 4U);  // without a name: the command says why
}

TEST(CliParse, StandardInputIsRankZerosAndAlone) {
  EXPECT_EQ(sent({"send", "--as", "x", "-", "out"}).files, Words{"-"});
  expect_refused({"send", "-", "out"}, "--as NAME");
  expect_refused({"send", "--as", "x", "-", "a", "out"}, "--as names a single FILE");
  expect_refused({"send", "-", "a", "out"}, "alone");
  expect_refused({"send", "--files-from", "l", "-", "out"}, "alone");
  expect_refused({"send", "--as", "x", "--from", "1", "--to", "0", "-", "out"}, "rank 0's");
  expect_refused({"send", "--files-from", "-", "--from", "1", "--to", "0", "out"}, "rank 0's");
  EXPECT_EQ(sent({"send", "--files-from", "-", "--from0", "out"}).files_from, "-");
  expect_refused(send_with({"--from0"}), "--from0 goes with --files-from");
  EXPECT_EQ(sent({"send", "./-", "out"}).files, Words{"./-"});
}

TEST(CliParse, KnowsTemplates) {
  EXPECT_EQ(sent({"send", "a", "/scratch/%h/%r%%"}).directory, "/scratch/%h/%r%%");
  for (const char* directory : {"%x", "a%", "%%%", "%H", "100%/x"})
    expect_refused({"send", "a", directory}, "in DIR '");
  EXPECT_EQ(sent({"send", "%x", "out"}).files, Words{"%x"});
}

TEST(CliParse, HelpNeedsNothingElse) {
  for (const Words& words : {Words{"--help"}, Words{"-h"}, Words{"-vh"}, Words{"--memory", "nonsense", "--help"}}) {
    const Parsed parsed = parse(words);
    EXPECT_EQ(parsed.exit, 0);
    EXPECT_NE(parsed.out.find("Commands:"), std::string::npos);
    EXPECT_EQ(parsed.err, "");
  }
  for (const Words& words : {Words{"send", "--help"}, Words{"--help", "send"}, Words{"send", "a", "--as", "/", "-h"}}) {
    const Parsed parsed = parse(words);
    EXPECT_EQ(parsed.exit, 0);
    for (const char* part : {"usage: argosy send", "--files-from LIST", "--stall-timeout SECONDS", "%h",
                             "Exit codes:", "130", "Examples:", "-n,--ranks N", "--from0"}) {
      EXPECT_NE(parsed.out.find(part), std::string::npos) << part;
    }
  }
}

TEST(CliParse, HelpIsNotWide) {
  for (const Words& words : {Words{"--help"}, Words{"send", "--help"}}) {
    const std::string text = parse(words).out;
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t end = text.find('\n', at);
      EXPECT_LE(end - at, 79U) << text.substr(at, end - at);
      at = end + 1;
    }
  }
}

TEST(CliParse, VersionNamesTheMpi) {
  const Parsed parsed = parse({"--version"});
  EXPECT_EQ(parsed.exit, 0);
  EXPECT_EQ(parsed.out.rfind("argosy ", 0), 0U);
  EXPECT_TRUE(parsed.out.find("(Open MPI v") != std::string::npos || parsed.out.find("(MPICH ") != std::string::npos)
      << parsed.out;
}

TEST(CliParse, AloneItShowsItsUsage) {
  const Parsed parsed = parse({});
  EXPECT_EQ(parsed.exit, 2);
  EXPECT_EQ(parsed.err.rfind("usage: argosy send", 0), 0U);
}

TEST(CliParse, WrongUsageIsJsonToo) {
  const Parsed parsed = parse({"send", "--json", "a", "--to", "x", "b"});
  EXPECT_EQ(parsed.exit, 2);
  const auto document = nlohmann::json::parse(parsed.out);
  EXPECT_EQ(document["command"], "send");
  EXPECT_EQ(document["exit"], 2);
  EXPECT_EQ(document["errors"][0]["kind"], "usage");
  EXPECT_NE(parsed.err.find("--to"), std::string::npos);
  EXPECT_EQ(parse({"send", "--", "--json"}).out, "");
}

}  // namespace
}  // namespace argosy::cli
