// The Writer by itself, without an engine.
#include "file/writer.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace argosy {
namespace {

namespace fs = std::filesystem;
using core::Type;

class FileWriter : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "argosy-writer-XXXXXX").string();
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    root_ = name;
    folder_.emplace((root_ / "out").string(), 0);
  }
  void TearDown() override { fs::remove_all(root_); }

  static core::Entry entry(const std::string& path, Type type, const std::string& link = {}) {
    core::Entry one;
    one.path = path;
    one.type = type;
    one.link = link;
    one.mode = type == Type::kFolder ? 0755 : 0644;
    return one;
  }
  static core::Page page(std::vector<core::Entry> entries) {
    core::Page page;
    page.entries = std::move(entries);
    return page;
  }

  fs::path root_;
  std::optional<file::Folder> folder_;
};

TEST_F(FileWriter, KeepsSoManyFailuresAndCountsTheRest) {
  file::Writer writer(&*folder_, {});
  std::vector<core::Entry> entries = {entry("tree", Type::kFolder)};
  constexpr int kLinks = 1500;
  for (int i = 0; i < kLinks; ++i) {
    entries.push_back(entry("tree/link" + std::to_string(i), Type::kHardLink, "tree/never there"));
  }
  const core::Examination found = writer.inspect(page(std::move(entries)));
  EXPECT_TRUE(found.failures.empty());
  const file::Writer::Finished finished = writer.finish();
  EXPECT_EQ(finished.failures.total(), kLinks);
  EXPECT_EQ(finished.failures.kept().size(), base::kFailuresKept);
  EXPECT_EQ(finished.hard_links, 0U);
}

}  // namespace
}  // namespace argosy
