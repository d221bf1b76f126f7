// What no honest source tells a Writer: it refuses, or the file is what was told all the same.
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "base/digest.h"
#include "base/error.h"
#include "file/beneath.h"
#include "file/writer.h"

namespace argosy {
namespace {

namespace fs = std::filesystem;

class FileHostileManifest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "argosy-hostile-XXXXXX").string();
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    root_ = name;
  }
  void TearDown() override { fs::remove_all(root_); }

  static core::Entry entry(core::Type type, const std::string& path, const std::string& link = {}) {
    core::Entry made;
    made.type = type;
    made.path = path;
    made.link = link;
    made.mode = type == core::Type::kFolder ? 0755 : 0644;
    return made;
  }
  // Why it is refused; empty: it is not.
  std::string refusal(std::vector<core::Entry> entries) const {
    const file::Folder out(root_.string(), 0);
    file::Writer writer(&out, {});
    core::Page page;
    page.entries = std::move(entries);
    try {
      writer.inspect(page);
    } catch (const base::Error& error) {
      EXPECT_EQ(error.failure().kind, base::Kind::kIntegrity);
      return error.failure().message;
    }
    return {};
  }

  fs::path root_;
};

TEST_F(FileHostileManifest, NamesOfOurOwn) {
  for (const char* name : {".argosy-0123456789abcdef.lock", "t/.argosy-0123456789abcdef.tree"}) {
    EXPECT_NE(refusal({entry(core::Type::kFolder, "t"), entry(core::Type::kFile, name)}), "") << name;
  }
  EXPECT_EQ(refusal({entry(core::Type::kFolder, "t"), entry(core::Type::kFile, "t/.argosy")}), "");
}

TEST_F(FileHostileManifest, HolesOfAFileThatHasNone) {
  const file::Folder out(root_.string(), 0);
  file::Writer writer(&out, {});
  core::Page page;
  page.entries = {entry(core::Type::kFile, "file")};
  page.entries[0].size = 3 * base::kLeafSize;
  ASSERT_TRUE(writer.inspect(page).wanted[0]);
  writer.write(0, 0, std::vector<std::byte>(static_cast<std::size_t>(base::kLeafSize), std::byte{1}));
  writer.hole(0, base::kLeafSize, 2 * base::kLeafSize);
  writer.commit(0, 3 * base::kLeafSize, {});
  EXPECT_EQ(fs::file_size(root_ / "file"), static_cast<std::uintmax_t>(3 * base::kLeafSize));
}

}  // namespace
}  // namespace argosy
