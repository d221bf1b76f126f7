// What one giver's manifest may name, and where it goes.
#include "command/concat_sink.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <string>
#include <vector>

namespace argosy {
namespace {

namespace fs = std::filesystem;
using command::ConcatSink;
using command::Gathering;
using core::Type;

core::Entry entry(const std::string& path, Type type, const std::string& link = {}) {
  core::Entry one;
  one.path = path;
  one.type = type;
  one.link = link;
  one.mode = type == Type::kFolder ? 0755 : 0644;
  return one;
}

class CommandConcatSink : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "argosy-concat-XXXXXX").string();
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    root_ = name;
    gathering_.shown = "OUT";
    gathering_.givers = {0, 2};
    gathering_.folder.emplace((root_ / "out").string(), 0);
    file::Writer::Settings how;
    how.whole = true;
    gathering_.writer = std::make_unique<file::Writer>(&*gathering_.folder, how);
  }
  void TearDown() override {
    gathering_.writer.reset();
    fs::remove_all(root_);
  }
  // What giver `giver` tells; its files are committed as empty ones.
  core::Examination tell(int giver, std::vector<core::Entry> entries,
                         ConcatSink::Purpose purpose = ConcatSink::Purpose::kMove) {
    ConcatSink sink(gathering_, giver, giver == 0 ? 0 : 1, hosts_, purpose);
    core::Page page;
    page.entries = std::move(entries);
    core::Examination found = sink.inspect(page);
    for (std::size_t i = 0; i < page.entries.size(); ++i) {
      if (found.wanted[i]) sink.commit(i, 0, base::close_digest({}, 0));
    }
    return found;
  }
  bool there(const std::string& name) const { return fs::exists(root_ / "out" / name); }

  fs::path root_;
  std::vector<std::string> hosts_ = {"a", "b", "c"};
  Gathering gathering_;
};

TEST_F(CommandConcatSink, WhatIsBeneathTheGiversFolderGoesBeneathOut) {
  const auto found = tell(0, {entry("top", Type::kFolder), entry("top/f", Type::kFile), entry("top/d", Type::kFolder),
                              entry("top/d/h", Type::kHardLink, "top/f")});
  EXPECT_TRUE(found.failures.empty());
  EXPECT_EQ(found.folders, 2U);
  EXPECT_EQ(gathering_.writer->finish().hard_links, 1U);
  EXPECT_TRUE(fs::equivalent(root_ / "out/f", root_ / "out/d/h"));
}

TEST_F(CommandConcatSink, NothingElseIsTaken) {
  for (const core::Entry& one :
       {entry("other", Type::kFolder), entry("top2/x", Type::kFile), entry("top", Type::kFile),
        entry("top", Type::kSymlink, "/etc"), entry("x", Type::kFile), entry("top/h", Type::kHardLink, "other/f")}) {
    try {
      tell(0, {one});
      ADD_FAILURE() << one.path << " was taken";
    } catch (const base::Error& error) {
      EXPECT_EQ(error.failure().kind, base::Kind::kIntegrity) << one.path;
    }
  }
  EXPECT_TRUE(fs::is_empty(root_ / "out"));
}

// Whoever is heard first, and whoever comes first.
TEST_F(CommandConcatSink, ANameThatTwoHaveIsNobodys) {
  const std::vector<core::Entry> zero = {entry("top", Type::kFolder), entry("top/both", Type::kFile),
                                         entry("top/zero", Type::kFile)};
  const std::vector<core::Entry> two = {entry("top", Type::kFolder), entry("top/both", Type::kFile),
                                        entry("top/link", Type::kHardLink, "top/both")};
  EXPECT_TRUE(tell(2, two, ConcatSink::Purpose::kHear).failures.empty());
  const auto heard = tell(0, zero, ConcatSink::Purpose::kHear);
  ASSERT_EQ(heard.failures.size(), 1U);
  EXPECT_EQ(heard.failures[0].path, "OUT/both");
  EXPECT_NE(heard.failures[0].message.find("rank 0 on a and on rank 2 on c"), std::string::npos);
  EXPECT_TRUE(fs::is_empty(root_ / "out"));
  const auto first = tell(0, zero);
  EXPECT_TRUE(first.failures.empty());
  EXPECT_EQ(first.failed, std::vector<std::uint32_t>{1});
  const auto second = tell(2, two);
  ASSERT_EQ(second.failures.size(), 1U);  // of the link; the other has been told
  EXPECT_EQ(second.failures[0].path, "OUT/link");
  EXPECT_EQ(gathering_.writer->finish().hard_links, 0U);
  EXPECT_TRUE(there("zero") && !there("both") && !there("link"));
}

}  // namespace
}  // namespace argosy
