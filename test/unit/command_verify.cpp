// What `verify` and `digest` keep bounded: failures, names, what nodes tell, what is listed, and a manifest's end.
#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <random>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "base/failures.h"
#include "base/fd.h"
#include "cli/ahead.h"
#include "cli/render.h"
#include "command/lines.h"
#include "command/manifest_reader.h"
#include "command/saved_manifest.h"
#include "command/verify_find.h"
#include "command/verify_merge.h"
#include "file/first_names.h"
#include "file/listing.h"
#include "file/temporary.h"

namespace argosy {
namespace {

class Folder {
 public:
  Folder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "argosy-test-XXXXXX").string();
    path_ = mkdtemp(pattern.data());
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }
  std::string path() const { return path_.string(); }

 private:
  std::filesystem::path path_;
};

base::Failure failure(base::Kind kind, const std::string& path, int error_number = 0) {
  return {kind, path, -1, {}, error_number, "x"};
}

class NamesAgain final : public command::Finder {
 public:
  explicit NamesAgain(const std::vector<std::string>& names) : names_(names) {}
  std::optional<command::Compared> next(std::vector<base::Failure>& /*failures*/) override {
    if (at_ == names_.size()) return std::nullopt;
    command::Compared item;
    item.path = names_[at_++];
    return item;
  }

 private:
  const std::vector<std::string>& names_;
  std::size_t at_ = 0;
};

TEST(NotNamed, IsFoundWhetherTheNamesAreHeldOrNot) {
  const Folder folder;
  for (const char* name : {"tree", "tree/sub", "other"}) std::filesystem::create_directory(folder / name);
  for (const char* name : {"tree/a", "tree/b", "tree/sub/c", "tree/new", "tree/sub/new", "other/new"}) {
    std::ofstream(folder / name).put('x');
  }
  for (const int missing : {0, 10, 150'000}) {
    std::vector<std::string> names = {"tree", "tree/sub", "tree/a", "tree/b", "tree/sub/c"};
    for (int i = 0; i < missing; ++i) names.push_back("tree/missing-" + std::to_string(i));
    int times_again = 0;
    const auto again = [&]() -> std::unique_ptr<command::Finder> {
      ++times_again;
      return std::make_unique<NamesAgain>(names);
    };
    for (const bool comes_again : {false, true}) {
      command::NotNamed not_named(folder.path(), comes_again ? command::NotNamed::Names(again) : nullptr);
      not_named.open();
      for (const std::string& name : names) {
        command::Compared item;
        item.path = name;
        not_named.name(item);
      }
      std::vector<base::Failure> failures;
      std::multiset<std::string> found;
      while (const auto item = not_named.next(failures)) found.insert(item->path);
      EXPECT_EQ(found, (std::multiset<std::string>{"tree/new", "tree/sub/new"}));
      EXPECT_TRUE(failures.empty());
    }
    // Each time it held a part of them.
    EXPECT_EQ(times_again, missing > 100'000 ? 3 : 0);
  }
}

TEST(Failures, KeepTheFirstTheCountAndTheMostTelling) {
  base::Failures failures(3);
  for (int i = 0; i < 10; ++i) failures.add(failure(base::Kind::kSource, std::to_string(i)));
  EXPECT_EQ(failures.total(), 10);
  ASSERT_EQ(failures.kept().size(), 3U);
  EXPECT_EQ(failures.kept()[2].path, "2");
  failures.add(failure(base::Kind::kIntegrity, "worst"));
  failures.add(failure(base::Kind::kDestination, "late"));
  EXPECT_EQ(failures.total(), 12);
  EXPECT_EQ(failures.kept()[2].path, "worst");
  base::Failures more(3);
  more.add(failure(base::Kind::kSource, "a", EINTR));
  more.add(failures);
  EXPECT_EQ(more.total(), 13);
  EXPECT_EQ(more.kept()[2].path, "worst");
  more.leave_out(EINTR);
  EXPECT_EQ(more.total(), 12);
  EXPECT_EQ(more.kept().size(), 2U);
}

TEST(FirstNames, TellWhichNameCameFirst) {
  file::FirstNames names(3);
  constexpr std::uint64_t kFiles = 5000;
  for (int round = 0; round < 2; ++round) {
    for (std::uint64_t i = 0; i < kFiles; ++i) {
      struct stat status = {};
      status.st_dev = i % 2;
      status.st_ino = i / 2;
      const std::string first = "first/" + std::to_string(i);
      const std::string path = round == 0 ? first : "second/" + std::to_string(i);
      ASSERT_EQ(names.first(status, path), file::hash_of(first));
    }
  }
  EXPECT_EQ(names.text(file::hash_of("first/2")), "first/2");
  EXPECT_EQ(names.text(file::hash_of("first/3")), "another name");
}

TEST(LinkGroups, TellOneNameTooManyOrTooFewOnce) {
  const auto disagreements = [](const std::vector<std::pair<std::uint64_t, std::uint64_t>>& names) {
    file::LinkGroups groups;
    return std::count_if(names.begin(), names.end(),
                         [&](const auto& one) { return !groups.agree(one.first, one.second); });
  };
  EXPECT_EQ(disagreements({{1, 1}, {1, 1}, {2, 2}, {3, 4}, {3, 4}}), 0);
  // The first, the second and the last of three has been split off.
  EXPECT_EQ(disagreements({{1, 1}, {1, 2}, {1, 2}}), 1);
  EXPECT_EQ(disagreements({{1, 1}, {1, 2}, {1, 1}}), 1);
  EXPECT_EQ(disagreements({{1, 1}, {1, 1}, {1, 3}}), 1);
  EXPECT_EQ(disagreements({{1, 1}, {1, 2}, {1, 3}}), 2);
  // Two that were two are one.
  EXPECT_EQ(disagreements({{1, 1}, {2, 1}}), 1);
  EXPECT_EQ(disagreements({{1, 1}, {1, 1}, {2, 1}, {2, 1}, {3, 3}}), 1);
}

TEST(Listing, OfMoreNamesThanItHoldsIsTheSame) {
  const Folder folder;
  std::set<std::string> names;
  for (int i = 0; i < 40; ++i) {
    const std::string name = std::string(static_cast<std::size_t>(i % 7 + 1), static_cast<char>('a' + i % 26));
    names.insert(name);
    std::filesystem::create_directories(folder / name);
    for (int j = 0; j < i % 5; ++j) std::ofstream(folder / (name + "/" + std::to_string(j))) << j;
  }
  const auto list = [&](std::size_t most) {
    file::Listing listing(folder.path(), most);
    std::vector<std::string> paths;
    while (const auto item = listing.next()) {
      EXPECT_FALSE(item->failure);
      paths.push_back(item->path);
    }
    return paths;
  };
  const std::vector<std::string> whole = list(1000);
  EXPECT_GT(whole.size(), names.size());
  EXPECT_TRUE(std::is_sorted(whole.begin(), whole.end(), file::comes_before));
  for (const std::size_t most : {1U, 2U, 3U, 39U, 40U}) EXPECT_EQ(list(most), whole) << most;
}

using Difference = std::tuple<std::string, std::size_t, std::string>;

command::Told told(const std::string& path, std::uint64_t digest) { return {path, {digest, 0}, digest == 0}; }

// Gives `sides` to a Merge in batches of `batch`; a digest of 0 is an entry that can't be read.
std::vector<Difference> merged(const std::vector<std::vector<command::Told>>& sides, std::size_t batch) {
  std::vector<Difference> found;
  command::Merge merge(sides.size(), [&](const std::string& path, std::size_t side, std::string_view how) {
    found.emplace_back(path, side, how);
  });
  std::vector<std::size_t> given(sides.size(), 0);
  for (bool any = true; any;) {
    any = false;
    for (std::size_t i = 0; i < sides.size(); ++i) {
      if (!merge.wants(i)) continue;
      any = true;
      const std::size_t end = std::min(sides[i].size(), given[i] + batch);
      merge.add(i,
                {sides[i].begin() + static_cast<std::ptrdiff_t>(given[i]),
                 sides[i].begin() + static_cast<std::ptrdiff_t>(end)},
                end == sides[i].size());
      given[i] = end;
    }
    merge.judge();
  }
  return found;
}

TEST(Merge, TellsWhatDiffersWhereAndHow) {
  const std::vector<std::vector<command::Told>> sides = {
      {told("", 1), told("a", 1), told("a/x", 1), told("a-b", 1), told("c", 1)},
      {told("", 1), told("a", 1), told("a/x", 2), told("a-b", 1), told("c", 1), told("d", 1)},
      {told("", 3), told("a", 1), told("a/x", 1), told("c", 1)}};
  const std::vector<Difference> expected = {
      {"", 2, "differs"}, {"a/x", 1, "differs"}, {"a-b", 2, "missing"}, {"d", 1, "only"}};
  for (const std::size_t batch : {1U, 2U, 3U, 100U}) EXPECT_EQ(merged(sides, batch), expected) << batch;
}

TEST(Merge, SaysNothingOfWhatCouldNotBeRead) {
  const std::vector<std::vector<command::Told>> sides = {
      {told("a", 1), told("a/x", 1), told("a/x/y", 1), told("a-b", 1), told("b", 1)}, {told("a", 0), told("b", 2)}};
  const std::vector<Difference> expected = {{"a-b", 1, "missing"}, {"b", 1, "differs"}};
  for (const std::size_t batch : {1U, 3U}) EXPECT_EQ(merged(sides, batch), expected) << batch;
  EXPECT_TRUE(merged({{told("", 1), told("a", 1)}, {told("", 0)}}, 3).empty());
}

TEST(Merge, OfRandomTreesFindsExactlyTheDifferences) {
  std::mt19937 random(7);
  for (int round = 0; round < 200; ++round) {
    std::map<std::string, std::vector<std::uint64_t>> all;
    std::vector<std::vector<command::Told>> sides(2);
    for (int i = 0; i < 30; ++i) all[std::to_string(random() % 100)] = {random() % 3, random() % 3};
    std::size_t expected = 0;
    for (const auto& [path, digests] : all) {
      for (std::size_t side = 0; side < 2; ++side) {
        if (digests[side] > 0) sides[side].push_back(told(path, digests[side]));
      }
      if (digests[0] != digests[1]) ++expected;
    }
    EXPECT_EQ(merged(sides, 1 + random() % 4).size(), expected);
  }
}

class Collected final : public command::Observer {
 public:
  void started() override {}
  void progress(const command::Progress& /*progress*/) override {}
  void fatal(int /*exit*/, const std::string& /*line*/) override {}
  void output(const std::string& text) override {
    out += text;
    most = std::max(most, text.size());
  }
  bool interrupted() override { return false; }
  std::string out;
  std::size_t most = 0;
};

TEST(Lines, AndTheRestMakeOneDocument) {
  command::CommonOptions options;
  options.json = true;
  command::Report report;
  report.command = "digest";
  Collected collected;
  command::Lines lines(&collected, true, false, "lines", "text");
  for (int i = 0; i < 10'000; ++i) lines.add("line \"\xff\" " + std::to_string(i));
  lines.flush();
  EXPECT_LT(collected.most, 70'000U);
  cli::Rendered rendered = cli::render(report, options);
  cli::continue_document(rendered);
  const auto document = nlohmann::json::parse(collected.out + rendered.out);
  EXPECT_EQ(document.at("command"), "digest");
  ASSERT_EQ(document.at("lines").size(), 10'000U);
  EXPECT_EQ(document.at("lines").at(9999).at("text"), "line \"\xef\xbf\xbd\" 9999");
  EXPECT_TRUE(document.at("lines").at(0).contains("text_base64"));
}

TEST(Lines, OfDryRunWithoutNamesAreAnEmptyArray) {
  command::CommonOptions options;
  options.json = true;
  command::Report report;
  report.dry_run = true;
  EXPECT_EQ(nlohmann::json::parse(cli::render(report, options).out).at("names").size(), 0U);
}

TEST(Ahead, DoesNotWaitForAReader) {
  std::array<int, 2> ends{};
  ASSERT_EQ(pipe(ends.data()), 0);
  const base::Fd out(ends[0]);
  base::Fd in(ends[1]);
  cli::Ahead ahead(in.get());
  EXPECT_FALSE(ahead.any());
  std::string all;
  for (int i = 0; i < 400'000; ++i) {
    const std::string line = std::to_string(i) + "\n";
    ahead.add(line);
    all += line;
  }
  EXPECT_TRUE(ahead.any() && ahead.waits());
  std::string got;
  std::array<char, 65'536> part{};
  while (got.size() < all.size()) {
    ahead.write();
    const ssize_t count = read(out.get(), part.data(), part.size());
    ASSERT_GT(count, 0);
    got.append(part.data(), static_cast<std::size_t>(count));
  }
  EXPECT_EQ(got, all);
  EXPECT_FALSE(ahead.waits());
  EXPECT_EQ(ahead.rest(), "");
}

// How many lines it reads of a manifest with this text; what it says where it is damaged.
std::string read_manifest(const std::string& text) {
  const Folder folder;
  std::ofstream(folder / "m.json") << text;
  try {
    command::ManifestReader reader(folder / "m.json");
    int lines = 0;
    while (reader.next()) ++lines;
    return std::to_string(lines);
  } catch (const base::Error& error) {
    EXPECT_EQ(error.failure().kind, base::Kind::kSource);
    return error.failure().message;
  }
}

TEST(ManifestReader, KnowsAnEndThatIsMissing) {
  core::Entry entry;
  entry.path = "a";
  const std::string line = command::manifest_line(entry, base::Digest{1, 2}) + "\n";
  const std::string head = std::string(command::kManifestHead) + "\n";
  const auto end = [](int number) { return std::string(command::kManifestEnd) + std::to_string(number) + "}\n"; };
  EXPECT_EQ(read_manifest(head + end(0)), "0");
  EXPECT_EQ(read_manifest(head + line + line + end(2)), "2");
  const std::string cut = "the manifest is damaged: its end is missing";
  const std::string whole = head + line + line + end(2);
  for (std::size_t size = head.size(); size < whole.size(); ++size)
    EXPECT_EQ(read_manifest(whole.substr(0, size)), cut) << size;
  EXPECT_EQ(read_manifest(head + line + end(2)), "the manifest is damaged: lines are missing");
  EXPECT_EQ(read_manifest(head + line + end(1) + line + end(1)), "the manifest is damaged: something follows its end");
  EXPECT_EQ(read_manifest(""), "is no manifest of argosy's");
  EXPECT_EQ(read_manifest("x\n"), "is no manifest of argosy's");
}

}  // namespace
}  // namespace argosy
