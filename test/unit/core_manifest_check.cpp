// What the pages of one manifest say together.
#include "core/manifest_check.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

namespace argosy::core {
namespace {

Entry named(const std::string& path, Type type = Type::kFile, const std::string& link = {}) {
  Entry entry;
  entry.path = path;
  entry.type = type;
  entry.link = link;
  return entry;
}

Entry with_other_names(const std::string& path, Type type = Type::kFile) {
  Entry entry = named(path, type);
  entry.several = true;
  return entry;
}

bool fits(const std::vector<Entry>& entries) {
  // Wherever a page ends.
  bool whole = true;
  for (const std::size_t most : {entries.size(), std::size_t{1}}) {
    ManifestCheck check;
    bool all = true;
    for (std::size_t at = 0; at < entries.size(); at += most) {
      Page page;
      for (std::size_t i = at; i < std::min(at + most, entries.size()); ++i) page.entries.push_back(entries[i]);
      all = all && !check.take(page);
    }
    EXPECT_TRUE(most == entries.size() || all == whole);
    whole = all;
  }
  return whole;
}

constexpr Type kDir = Type::kFolder;

TEST(ManifestCheck, WhatAWalkSays) {
  EXPECT_TRUE(fits({}));
  EXPECT_TRUE(fits({named("a"), named("b")}));
  EXPECT_TRUE(fits({named("t", kDir), named("t/x"), named("t/d", kDir), named("t/y"), named("t/e", kDir),
                    named("t/e/x"), named("t/d/x"), named("f"), named("u", kDir), named("u/x")}));
  EXPECT_TRUE(fits({named("t", kDir), with_other_names("t/a"), named("t/b", Type::kHardLink, "t/a"),
                    with_other_names("t/l", Type::kSymlink), named("t/m", Type::kHardLink, "t/l")}));
  Entry missing = named("x");
  missing.size = kMissing;
  EXPECT_TRUE(fits({missing, named("x")}));
}

TEST(ManifestCheck, AFolderForEverything) {
  EXPECT_FALSE(fits({named("t/x")}));
  EXPECT_FALSE(fits({named("t"), named("t/x")}));
  EXPECT_FALSE(fits({named("t", kDir), named("t/l", Type::kSymlink, "/etc"), named("t/l/x")}));
  EXPECT_FALSE(fits({named("t", kDir), named("t/d/x")}));
  EXPECT_FALSE(fits({named("t/d", kDir)}));
  // Listed twice.
  EXPECT_FALSE(fits({named("t", kDir), named("t/d", kDir), named("t/d/x"), named("t/y")}));
}

TEST(ManifestCheck, ANameOnce) {
  EXPECT_FALSE(fits({named("x"), named("x")}));
  EXPECT_FALSE(fits({named("t", kDir), named("t/x"), named("t/y"), named("t/x")}));
  EXPECT_FALSE(fits({named("t", kDir), named("t/x"), named("t/x", kDir)}));
  EXPECT_FALSE(fits({named("t", kDir), named("t/d", kDir), named("t/d/x"), named("t", kDir)}));
}

TEST(ManifestCheck, AHardLinkToWhatMayHaveOne) {
  EXPECT_FALSE(fits({named("t", kDir), named("t/x", Type::kHardLink, "t/x")}));
  EXPECT_FALSE(fits({named("t", kDir), named("t/x", Type::kHardLink, "t/never")}));
  EXPECT_FALSE(fits({named("t", kDir), named("t/x", Type::kHardLink, "t")}));
  EXPECT_FALSE(fits({named("t", kDir), named("t/a"), named("t/x", Type::kHardLink, "t/a")}));
  EXPECT_FALSE(fits({named("t", kDir), named("t/x", Type::kHardLink, "t/y"), with_other_names("t/y")}));
}

TEST(FolderNames, ManyAreHeldAndOthersPass) {
  FolderNames names;
  for (std::size_t i = 0; i < FolderNames::kMost; ++i) ASSERT_TRUE(names.add(std::to_string(i)));
  for (std::size_t i = 0; i < FolderNames::kMost; ++i) ASSERT_FALSE(names.add(std::to_string(i)));
  EXPECT_TRUE(names.add("more"));
  EXPECT_TRUE(names.add("more"));
  names.begin();
  EXPECT_TRUE(names.add("0"));
  EXPECT_TRUE(names.has("0") && !names.has("1"));
}

}  // namespace
}  // namespace argosy::core
