// `argosy fetch`, from words to options.
#include <gtest/gtest.h>

#include <array>
#include <variant>

#include "cli/launcher.h"
#include "cli/parse.h"

namespace argosy::cli {
namespace {

command::FetchOptions fetch(std::vector<std::string> words) {
  words.insert(words.begin(), "fetch");
  const Parsed parsed = parse(words);
  EXPECT_TRUE(parsed.options) << parsed.err;
  return parsed.options ? std::get<command::FetchOptions>(parsed.options->command) : command::FetchOptions{};
}

TEST(CliFetch, Defaults) {
  const auto options = fetch({"http://h/a", "https://h/b", "out"});
  EXPECT_EQ(options.urls, (std::vector<std::string>{"http://h/a", "https://h/b"}));
  EXPECT_EQ(options.directory, "out");
  EXPECT_EQ(options.to, 0);
  EXPECT_EQ(options.connections, 8);
  EXPECT_FALSE(options.to_all || options.to_output || options.insecure || options.rename);
}

TEST(CliFetch, AllOptions) {
  const auto options =
      fetch({"-i", "list", "--to", "all", "--connections", "3", "--rate", "1.5M", "--retries", "0", "--timeout", "2.5",
             "--rename", "--header-file", "h", "--cacert", "c", "--insecure", "out/%r"});
  EXPECT_EQ(options.lists, std::vector<std::string>{"list"});
  EXPECT_TRUE(options.to_all && options.rename && options.insecure && options.urls.empty());
  EXPECT_EQ(options.connections, 3);
  EXPECT_EQ(options.rate, 1'500'000);
  EXPECT_EQ(options.retries, 0);
  EXPECT_EQ(options.timeout, 2.5);
  EXPECT_TRUE(fetch({"--stdout", "http://h/a"}).to_output);
  EXPECT_EQ(fetch({"--to", "3", "http://h/a", "d"}).to, 3);
}

TEST(CliFetch, WrongUsage) {
  const std::vector<std::vector<std::string>> all = {
      {},
      {"out"},
      {"http://h/a"},
      {"http://h/a", "http://h/b"},
      {"ftp://h/a", "out"},
      {"http://h/a", "%x"},
      {"--stdout"},
      {"--stdout", "--to", "1", "http://h/a"},
      {"--to", "some", "http://h/a", "d"},
      {"--connections", "0", "http://h/a", "d"},
      {"--timeout", "0", "http://h/a", "d"},
      {"--sha256", "abc", "http://h/a", "d"},
  };
  for (std::vector<std::string> words : all) {
    words.insert(words.begin(), "fetch");
    const Parsed parsed = parse(words);
    EXPECT_FALSE(parsed.options);
    EXPECT_EQ(parsed.exit, 2);
    EXPECT_TRUE(parsed.err.starts_with("argosy: ")) << parsed.err;
  }
}

TEST(CliFetch, NoPasswordStaysInTheWords) {
  std::string program = "argosy";
  std::string url = "http://ali:baba@h/x";
  std::string file = "a@b";
  std::array<char*, 3> argv = {program.data(), url.data(), file.data()};
  hide_credentials(static_cast<int>(argv.size()), argv.data());
  EXPECT_STREQ(argv[1], "http://h/x");
  EXPECT_EQ(url.find("baba"), std::string::npos);
  EXPECT_STREQ(argv[2], "a@b");
}

}  // namespace
}  // namespace argosy::cli
