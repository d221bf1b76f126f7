// Patterns, ranges, and what a manifest says of a tree.
#include <gtest/gtest.h>

#include <functional>
#include <random>
#include <string>

#include "core/filter.h"
#include "core/manifest.h"
#include "core/plan.h"
#include "core/ranges.h"

namespace argosy::core {
namespace {

TEST(Wildcards, MatchAsRsyncDoes) {
  EXPECT_TRUE(matches_wildcards("*.o", "x.o"));
  EXPECT_FALSE(matches_wildcards("*.o", "a/x.o"));
  EXPECT_TRUE(matches_wildcards("**.o", "a/b/x.o"));
  EXPECT_TRUE(matches_wildcards("a/*/c", "a/b/c"));
  EXPECT_FALSE(matches_wildcards("a/*/c", "a/b/b/c"));
  EXPECT_TRUE(matches_wildcards("a/**/c", "a/b/b/c"));
  EXPECT_FALSE(matches_wildcards("?", "/"));
  EXPECT_TRUE(matches_wildcards("[a-c]x[!0-9]", "bxz"));
  EXPECT_FALSE(matches_wildcards("[a-c]x[!0-9]", "bx7"));
  EXPECT_TRUE(matches_wildcards("[[:digit:]]", "7"));
  EXPECT_TRUE(matches_wildcards("a\\*", "a*"));
  EXPECT_FALSE(matches_wildcards("a\\*", "ab"));
  EXPECT_FALSE(matches_wildcards("[unclosed", "[unclosed"));
  EXPECT_FALSE(matches_wildcards("*a/*c", "xa/ya/zc"));
}

// The same by trying everything: stars of both kinds, letters and slashes only.
bool matches_slowly(std::string_view pattern, std::string_view text) {
  if (pattern.empty()) return text.empty();
  if (pattern.starts_with("**")) {
    std::string_view rest = pattern;
    while (rest.starts_with('*')) rest.remove_prefix(1);
    for (std::size_t i = 0; i <= text.size(); ++i) {
      if (matches_slowly(rest, text.substr(i))) return true;
    }
    return false;
  }
  if (pattern.starts_with('*')) {
    for (std::size_t i = 0; i <= text.size(); ++i) {
      if (matches_slowly(pattern.substr(1), text.substr(i))) return true;
      if (i < text.size() && text[i] == '/') return false;
    }
    return false;
  }
  return !text.empty() && text[0] == pattern[0] && matches_slowly(pattern.substr(1), text.substr(1));
}

TEST(Wildcards, MatchWhatTryingEverythingMatches) {
  std::mt19937 random(1);
  const auto word = [&](std::string_view letters, std::size_t most) {
    std::string text;
    for (std::size_t i = random() % (most + 1); i > 0; --i) text += letters[random() % letters.size()];
    return text;
  };
  for (int i = 0; i < 200'000; ++i) {
    const std::string pattern = word("ab/***", 7);
    const std::string text = word("ab/", 8);
    ASSERT_EQ(matches_wildcards(pattern, text), matches_slowly(pattern, text)) << pattern << " " << text;
  }
}

TEST(Filter, FirstMatchDecides) {
  Filter filter;
  EXPECT_EQ(filter.add_rule("keep.log", true), "");
  EXPECT_EQ(filter.add_rule("*.log", false), "");
  EXPECT_EQ(filter.add_rule("/top/tmp/", false), "");
  EXPECT_EQ(filter.add_rule("cache/***", false), "");
  EXPECT_FALSE(filter.leaves_out("top/a/keep.log", false));
  EXPECT_TRUE(filter.leaves_out("top/a/other.log", false));
  EXPECT_TRUE(filter.leaves_out("top/tmp", true));
  EXPECT_FALSE(filter.leaves_out("top/tmp", false));
  EXPECT_FALSE(filter.leaves_out("top/a/tmp", true));
  EXPECT_TRUE(filter.leaves_out("top/cache", true));
  EXPECT_TRUE(filter.leaves_out("top/cache/x", false));
}

TEST(Filter, WhatMatchesNothing) {
  for (const char* pattern : {"", "/", "//", "[z", "[a/[[:foo:]]*", "x\\", "[c-a]", "foo//"}) {
    Filter filter;
    EXPECT_EQ(filter.add_rule(pattern, false), "") << pattern;
    for (const char* path : {"top", "top/z", "top/[z", "top/a", "top/foo", "top/foo/a", "x"})
      EXPECT_FALSE(filter.leaves_out(path, true)) << pattern << " " << path;
  }
  Filter filter;
  EXPECT_NE(filter.add_rule("- ", false), "");
  EXPECT_NE(filter.add_rule(std::string(5000, 'a'), false), "");
}

TEST(Filter, StarsInFrontAlsoStandForNoFolder) {
  for (const char* pattern : {"**/top/foo", "**/top", "**/**", "**/*", "**", "***"}) {
    Filter filter;
    EXPECT_EQ(filter.add_rule(pattern, false), "");
    EXPECT_TRUE(filter.leaves_out("top/foo", false) || filter.leaves_out("top", true)) << pattern;
  }
}

TEST(Filter, Lists) {
  Filter filter;
  EXPECT_EQ(filter.add_list("# comment\n\n- *.o\n!\n+ a\r\nb\n", false), "");
  EXPECT_FALSE(filter.leaves_out("x.o", false));
  EXPECT_FALSE(filter.leaves_out("a", false));
  EXPECT_TRUE(filter.leaves_out("b", false));
  EXPECT_EQ(filter.add_list(std::string_view("c\nd\0e", 5), true), "");
  EXPECT_TRUE(filter.leaves_out("c\nd", false));
  EXPECT_TRUE(filter.leaves_out("e", false));
  EXPECT_NE(filter.add_list("fine\n- \n", false), "");
}

TEST(Ranges, JoinAndRefuseOverlap) {
  Ranges ranges;
  EXPECT_TRUE(ranges.add({10, 20}));
  EXPECT_TRUE(ranges.add({30, 40}));
  EXPECT_FALSE(ranges.add({15, 25}));
  EXPECT_FALSE(ranges.add({35, 36}));
  EXPECT_FALSE(ranges.add({5, 11}));
  EXPECT_FALSE(ranges.add({7, 7}));
  EXPECT_TRUE(ranges.add({20, 30}));
  EXPECT_EQ(ranges.all().size(), 1U);
  EXPECT_EQ(ranges.bytes(), 30);
  EXPECT_EQ(ranges.missing(50), (std::vector<Range>{{0, 10}, {40, 50}}));
  Ranges other;
  other.add({0, 15});
  other.add({35, 60});
  EXPECT_EQ(ranges.intersect(other).all(), (std::vector<Range>{{10, 15}, {35, 40}}));
  EXPECT_TRUE(ranges.covers({10, 40}));
  EXPECT_FALSE(ranges.covers({9, 12}));
}

TEST(Plan, WhatIsHeldIsNotPlanned) {
  constexpr std::int64_t kChunk = 1 << 20;
  Planner planner(kChunk);
  Ranges held;
  held.add({0, 2 * kChunk});
  EXPECT_EQ(planner.add(7, 3 * kChunk + 5, false, held), kChunk + 5);
  const auto first = planner.next(false);
  ASSERT_EQ(first.size(), 1U);
  EXPECT_EQ(first[0].offset, 2 * kChunk);
  EXPECT_FALSE(first[0].last);
  const auto second = planner.next(false);
  ASSERT_EQ(second.size(), 1U);
  EXPECT_EQ(second[0].length, 5);
  EXPECT_TRUE(second[0].last);
  // All of it: its end is still to be told.
  Ranges all;
  all.add({0, 2 * kChunk});
  EXPECT_EQ(planner.add(8, 2 * kChunk, false, all), 0);
  const auto end = planner.next(false);
  ASSERT_EQ(end.size(), 1U);
  EXPECT_EQ(end[0].length, 0);
  EXPECT_TRUE(end[0].last);
}

Page page_with(Entry entry) {
  Page page;
  page.entries.push_back(std::move(entry));
  return page;
}

TEST(TreePage, ComesBackAsItWas) {
  Entry entry;
  entry.path = "tree/device";
  entry.type = Type::kCharDevice;
  entry.device = 259;
  entry.several = true;
  entry.attributes = {{"user.a", std::string("1\0", 2)}, {"user.b", ""}};
  std::string why;
  const auto back = decode_page(encode_page(page_with(entry)), why);
  ASSERT_TRUE(back) << why;
  EXPECT_EQ(back->entries[0].type, Type::kCharDevice);
  EXPECT_EQ(back->entries[0].device, 259U);
  EXPECT_TRUE(back->entries[0].several);
  EXPECT_EQ(back->entries[0].attributes, entry.attributes);
}

TEST(TreePage, HostileEntriesAreRefused) {
  const auto refused = [](const std::function<void(Entry&)>& change) {
    Entry entry;
    entry.path = "tree/x";
    change(entry);
    std::string why;
    return !decode_page(encode_page(page_with(entry)), why).has_value();
  };
  EXPECT_FALSE(refused([](Entry&) {}));
  EXPECT_TRUE(refused([](Entry& e) { e.path = "../x"; }));
  EXPECT_TRUE(refused([](Entry& e) { e.path = "/x"; }));
  EXPECT_TRUE(refused([](Entry& e) { e.path = std::string("a\0b", 3); }));
  EXPECT_TRUE(refused([](Entry& e) { e.size = -2; }));
  EXPECT_TRUE(refused([](Entry& e) { e.type = static_cast<Type>(8); }));
  EXPECT_TRUE(refused([](Entry& e) { e.type = Type::kFolder, e.size = 5; }));
  EXPECT_TRUE(refused([](Entry& e) { e.type = Type::kHardLink, e.link = "../../etc/passwd"; }));
  EXPECT_TRUE(refused([](Entry& e) { e.type = Type::kSymlink; }));
  EXPECT_TRUE(refused([](Entry& e) { e.link = "a file has none"; }));
  EXPECT_FALSE(refused([](Entry& e) { e.type = Type::kSymlink, e.link = std::string(kLongestTarget, 'x'); }));
  EXPECT_TRUE(refused([](Entry& e) { e.type = Type::kSymlink, e.link = std::string(kLongestTarget + 1, 'x'); }));
  EXPECT_TRUE(refused([](Entry& e) { e.type = Type::kFolder, e.size = kMissing; }));
  EXPECT_TRUE(refused([](Entry& e) { e.type = Type::kFifo, e.sparse = true; }));
  EXPECT_TRUE(refused([](Entry& e) { e.type = Type::kFolder, e.digest.emplace(); }));
  EXPECT_TRUE(refused([](Entry& e) { e.device = 5; }));
  EXPECT_FALSE(refused([](Entry& e) { e.type = Type::kFifo, e.several = true; }));
  EXPECT_TRUE(refused([](Entry& e) { e.type = Type::kFolder, e.several = true; }));
  EXPECT_TRUE(refused([](Entry& e) { e.type = Type::kHardLink, e.link = "tree/y", e.several = true; }));
  EXPECT_TRUE(refused([](Entry& e) { e.open_ended = true, e.size = 5; }));
  EXPECT_FALSE(refused([](Entry& e) { e.attributes = {{"trusted.a", ""}, {"user.a", ""}}; }));
  EXPECT_TRUE(refused([](Entry& e) { e.attributes = {{"user.b", ""}, {"user.a", ""}}; }));
  EXPECT_TRUE(refused([](Entry& e) { e.attributes = {{"user.a", std::string(kAttributeBytes, 'x')}}; }));
  for (const char* name : {"user.", "security.selinux", "system.nfs4_acl", "other"})
    EXPECT_TRUE(refused([&](Entry& e) { e.attributes = {{name, "x"}}; })) << name;
}

TEST(Ranges, Meet) {
  Ranges ranges;
  ranges.add({10, 20});
  ranges.add({30, 40});
  EXPECT_TRUE(ranges.meets({0, 11}) && ranges.meets({19, 25}) && ranges.meets({35, 36}) && ranges.meets({0, 90}));
  EXPECT_FALSE(ranges.meets({0, 10}) || ranges.meets({20, 30}) || ranges.meets({40, 50}));
}

TEST(TreeAnswer, HeldPartsComeBackAndCombine) {
  constexpr std::int64_t kLeaf = base::kLeafSize;
  const Part first{{0, kLeaf}, {1, 2}};
  const Part second{{kLeaf, 2 * kLeaf}, {3, 4}};
  Answer one{3, {true, true, false}, {}};
  one.held.push_back({1, {first, second, {{4 * kLeaf, 6 * kLeaf}, {5, 6}}}});
  const auto back = decode_answer(encode_answer(one));
  ASSERT_TRUE(back);
  ASSERT_EQ(back->held.size(), 1U);
  EXPECT_EQ(back->held[0].parts, one.held[0].parts);
  Answer two{3, {false, true, false}, {}};
  EXPECT_TRUE(combine(one, two).held.empty());
  // Only what is the same in both: not another part, and not another content.
  two.held.push_back({1, {{{0, kLeaf}, {9, 9}}, second, {{4 * kLeaf, 5 * kLeaf}, {5, 6}}}});
  ASSERT_EQ(combine(one, two).held.size(), 1U);
  EXPECT_EQ(combine(one, two).held[0].parts, std::vector<Part>{second});
  // Who has all of it wants none of it.
  two = {3, {false, false, false}, {}};
  EXPECT_EQ(combine(two, one).held[0].parts, one.held[0].parts);
}

TEST(TreeAnswer, HostilePartsAreRefused) {
  constexpr std::int64_t kLeaf = base::kLeafSize;
  const auto decodes = [](std::vector<Part> parts) {
    return decode_answer(encode_answer({0, {true}, {{0, std::move(parts)}}})).has_value();
  };
  EXPECT_TRUE(decodes({{{0, kLeaf}, {}}, {{kLeaf, kLeaf + 1}, {}}}));
  EXPECT_FALSE(decodes({{{kLeaf, 2 * kLeaf}, {}}, {{0, kLeaf}, {}}}));
  EXPECT_FALSE(decodes({{{0, 2 * kLeaf}, {}}, {{kLeaf, 3 * kLeaf}, {}}}));
  EXPECT_FALSE(decodes({{{0, 0}, {}}}) || decodes({{{-kLeaf, 0}, {}}}) || decodes({{{1, kLeaf}, {}}}));
}

TEST(TreeAnswer, PartsAreFewWhateverTheSize) {
  EXPECT_EQ(part_size(0), base::kLeafSize);
  EXPECT_EQ(part_size(100 << 20), base::kLeafSize);
  for (const std::int64_t size : {std::int64_t{128} << 20, (std::int64_t{1} << 40) + 1, INT64_MAX}) {
    EXPECT_LE(size / part_size(size), 512);
    EXPECT_GT(size / part_size(size), 128);
    EXPECT_EQ(part_size(size) % base::kLeafSize, 0);
  }
}

}  // namespace
}  // namespace argosy::core
