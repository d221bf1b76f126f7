// A folder as bytes, and back; and bytes that are no folder.
#include "file/tree_pack.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "file/beneath.h"
#include "file/reader.h"
#include "file/tree_sign.h"
#include "file/tree_unpack.h"
#include "file/writer.h"

namespace argosy {
namespace {

namespace fs = std::filesystem;

class FileTreePack : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "argosy-pack-XXXXXX").string();
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    root_ = name;
  }
  void TearDown() override { fs::remove_all(root_); }

  void put(const std::string& name, const std::string& content) const {
    fs::create_directories((root_ / name).parent_path());
    std::ofstream(root_ / name, std::ios::binary) << content;
  }
  static std::string content(const fs::path& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  // The bytes of the folder `name`, read in pieces of a size that nothing else has.
  std::vector<std::byte> pack(const std::string& name, std::size_t piece) {
    file::Reader reader({{(root_ / name).string(), name, name, false}}, nullptr);
    reader.scan(false);
    file::TreePack pack(reader);
    std::vector<std::byte> all;
    std::vector<std::byte> some(piece);
    while (true) {
      const std::size_t got = pack.read(0, static_cast<std::int64_t>(all.size()), some);
      all.insert(all.end(), some.begin(), some.begin() + static_cast<std::ptrdiff_t>(got));
      if (got < some.size()) break;
    }
    EXPECT_TRUE(pack.take_failures().empty());
    return all;
  }
  // An open file of these bytes.
  base::Fd stored(std::span<const std::byte> bytes) const {
    base::Fd fd(open((root_ / "bytes").c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    EXPECT_EQ(write(fd.get(), bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
    return fd;
  }
  file::Unpacked unpack(std::span<const std::byte> bytes) {
    const base::Fd fd = stored(bytes);
    const auto size = static_cast<std::int64_t>(bytes.size());
    file::check_tree(fd.get(), size, "shown");
    const file::Folder out((root_ / "out").string(), 0);
    file::Writer::Settings how;
    how.read_back = true;
    file::Writer writer(&out, how);
    file::Unpacked unpacked = file::unpack_tree(fd.get(), size, "back", writer, "shown", true);
    EXPECT_TRUE(writer.finish().failures.empty());
    return unpacked;
  }
  bool refused(std::span<const std::byte> bytes) {
    try {
      unpack(bytes);
    } catch (const base::Error& error) {
      EXPECT_EQ(error.failure().kind, base::Kind::kIntegrity) << error.what();
      EXPECT_FALSE(fs::exists(root_ / "out"));
      return error.failure().kind == base::Kind::kIntegrity;
    }
    return false;
  }
  fs::path root_;
};

TEST_F(FileTreePack, ThereAndBack) {
  std::mt19937 random(7);
  std::string noise(700'000, '\0');
  for (char& one : noise) one = static_cast<char>(random());
  put("tree/a/b/large", noise);
  put("tree/a/empty", "");
  put("tree/leaf", noise.substr(0, 256 * 1024));
  for (int i = 0; i < 3000; ++i) put("tree/many/" + std::to_string(i), std::to_string(i));
  fs::create_symlink("../a", root_ / "tree/many/link");
  fs::create_hard_link(root_ / "tree/leaf", root_ / "tree/a/leaf too");
  for (const std::size_t piece : {std::size_t{1} << 20, std::size_t{777}, std::size_t{256} * 1024}) {
    const std::vector<std::byte> bytes = pack("tree", piece);
    const file::Unpacked back = unpack(bytes);
    EXPECT_TRUE(back.failures.empty());
    EXPECT_EQ(back.folders, 4);
    EXPECT_EQ(back.files, 3004);
    EXPECT_EQ(content(root_ / "out/back/a/b/large"), noise);
    EXPECT_EQ(content(root_ / "out/back/many/2999"), "2999");
    EXPECT_EQ(fs::read_symlink(root_ / "out/back/many/link"), "../a");
    EXPECT_TRUE(fs::equivalent(root_ / "out/back/leaf", root_ / "out/back/a/leaf too"));
    EXPECT_TRUE(fs::is_empty(root_ / "out/back/a/empty"));
    fs::remove_all(root_ / "out");
  }
}

TEST_F(FileTreePack, Signed) {
  put("tree/b", "1");
  put("tree/sub/c", "22");
  fs::create_hard_link(root_ / "tree/b", root_ / "tree/sub/a");
  fs::create_hard_link(root_ / "tree/b", root_ / "outside");
  fs::create_symlink("b", root_ / "tree/link");
  file::Selection all;
  const auto signed_as = [&](const char* name) { return file::sign_tree((root_ / "tree").string(), name, all); };
  const auto found = signed_as("tree");
  ASSERT_TRUE(found);
  EXPECT_EQ(found->files, 4);
  EXPECT_EQ(found->folders, 2);
  EXPECT_EQ(found->bytes, 3);
  EXPECT_EQ(signed_as("another")->signature, found->signature);
  file::Reader reader({{(root_ / "tree").string(), "tree", "tree", false}}, nullptr);
  reader.scan(false);
  file::TreePack pack(reader);
  EXPECT_FALSE(pack.signature());
  std::vector<std::byte> bytes(1 << 20);
  pack.read(0, 0, bytes);
  EXPECT_EQ(pack.signature(), found->signature);
  fs::permissions(root_ / "tree/sub/c", fs::perms::owner_all);
  const auto other = signed_as("tree");
  EXPECT_TRUE(file::agree(other->signature, found->signature, {.mode = false}));
  EXPECT_FALSE(file::agree(other->signature, found->signature, {}));
  EXPECT_FALSE(file::sign_tree((root_ / "none").string(), "none", all));
}

TEST(TreeSigner, TheOrderDoesNotCount) {
  const auto entry = [](const char* path, core::Type type, std::uint64_t links, const char* link = "") {
    core::Entry one;
    one.path = path;
    one.type = type;
    one.links = links;
    one.link = link;
    return one;
  };
  const auto signature_of = [](const std::vector<core::Entry>& entries) {
    core::TreeSigner signer;
    for (const core::Entry& one : entries) signer.add(one);
    return signer.finish();
  };
  const core::Entry top = entry("t", core::Type::kFolder, 2);
  const core::Entry other = entry("t/x", core::Type::kFile, 1);
  const auto one =
      signature_of({top, entry("t/a", core::Type::kFile, 3), other, entry("t/b", core::Type::kHardLink, 1, "t/a")});
  EXPECT_EQ(one, signature_of(
                     {top, other, entry("t/b", core::Type::kFile, 2), entry("t/a", core::Type::kHardLink, 1, "t/b")}));
  EXPECT_NE(one, signature_of({top, other, entry("t/b", core::Type::kFile, 1), entry("t/a", core::Type::kFile, 1)}));
  EXPECT_NE(one, signature_of({top, entry("t/x", core::Type::kFile, 2), entry("t/a", core::Type::kHardLink, 1, "t/x"),
                               entry("t/b", core::Type::kFile, 1)}));
  EXPECT_FALSE(signature_of({top, entry("t/a", core::Type::kHardLink, 1, "t/b")}));
}

// Bytes made by hand.
class Made {
 public:
  Made() { raw(file::kPackMagic).raw(file::kPackVersion); }
  Made& page(std::vector<core::Entry> entries) {
    core::Page page;
    page.number = number_++;
    page.first = first_;
    page.last = entries.empty();
    first_ += entries.size();
    page.entries = std::move(entries);
    const auto encoded = core::encode_page(page);
    raw(static_cast<std::uint32_t>(encoded.size()));
    bytes_.insert(bytes_.end(), encoded.begin(), encoded.end());
    return *this;
  }
  Made& part(std::uint8_t kind, std::int64_t length, std::size_t data = 0) {
    raw(kind).raw(length);
    bytes_.resize(bytes_.size() + data, std::byte{'x'});
    return *this;
  }
  template <typename Number>
  Made& raw(Number number) {
    base::Writer(bytes_).put(number);
    return *this;
  }
  const std::vector<std::byte>& bytes() const { return bytes_; }

 private:
  std::vector<std::byte> bytes_;
  std::uint64_t number_ = 0;
  std::uint64_t first_ = 0;
};

core::Entry entry(const std::string& path, core::Type type, std::int64_t size = 0, const std::string& link = {}) {
  core::Entry one;
  one.path = path;
  one.type = type;
  one.size = size;
  one.link = link;
  one.mode = type == core::Type::kFolder ? 0755 : 0644;
  return one;
}

TEST_F(FileTreePack, WhatIsNoFolderIsRefused) {
  using core::Type;
  const core::Entry top = entry("top", Type::kFolder);
  const core::Entry file = entry("top/f", Type::kFile, 5);
  const auto begun = [&] { return Made().page({top, file}); };
  EXPECT_EQ(unpack(begun().part(0, 5, 5).part(2, 5).page({}).bytes()).files, 1);
  fs::remove_all(root_ / "out");
  EXPECT_TRUE(refused({}));
  EXPECT_TRUE(refused(Made().bytes()));
  EXPECT_TRUE(refused(Made().page({}).bytes()));
  EXPECT_TRUE(refused(begun().bytes()));
  EXPECT_TRUE(refused(begun().part(0, 5, 5).part(2, 5).bytes()));
  EXPECT_TRUE(refused(begun().part(0, 5, 5).part(2, 5).page({}).raw('x').bytes()));
  EXPECT_TRUE(refused(begun().part(0, 6, 6).part(2, 5).page({}).bytes()));
  EXPECT_TRUE(refused(begun().part(0, -5, 5).part(2, 5).page({}).bytes()));
  EXPECT_TRUE(refused(begun().part(0, INT64_MAX, 5).part(2, 5).page({}).bytes()));
  EXPECT_TRUE(refused(begun().part(0, 3, 3).part(0, 2, 2).part(2, 5).page({}).bytes()));
  EXPECT_TRUE(refused(begun().part(0, 5, 5).part(2, 6).page({}).bytes()));
  EXPECT_TRUE(refused(begun().part(2, 5).page({}).bytes()));
  EXPECT_TRUE(refused(begun().part(4, 5).page({}).bytes()));
  EXPECT_TRUE(refused(Made().raw(UINT32_MAX).bytes()));
  EXPECT_TRUE(refused(Made().page({file}).part(0, 5, 5).part(2, 5).page({}).bytes()));
  EXPECT_TRUE(refused(Made().page({entry("top", Type::kFile)}).part(2, 0).page({}).bytes()));
  EXPECT_TRUE(refused(Made().page({top, top}).page({}).bytes()));
  EXPECT_TRUE(refused(Made().page({top, entry("other", Type::kFolder)}).page({}).bytes()));
  EXPECT_TRUE(refused(Made().page({top, entry("top2/x", Type::kFolder)}).page({}).bytes()));
  EXPECT_TRUE(refused(Made().page({top, entry("top/no/x", Type::kFolder)}).page({}).bytes()));
  EXPECT_TRUE(refused(Made().page({top, entry("top/../x", Type::kFolder)}).page({}).bytes()));
  EXPECT_TRUE(refused(Made().page({top, entry("/etc", Type::kFolder)}).page({}).bytes()));
  EXPECT_TRUE(refused(Made().page({top, entry("top/h", Type::kHardLink, 0, "other/f")}).page({}).bytes()));
  EXPECT_TRUE(refused(Made().page({top, entry("top/h", Type::kHardLink, 0, "top/f")}).page({}).bytes()));
  EXPECT_TRUE(
      refused(Made().page({top, entry("top/d", Type::kFolder), entry("top/d", Type::kFolder)}).page({}).bytes()));
  EXPECT_TRUE(refused(begun().part(0, 5, 5).part(2, 5).page({file}).part(0, 5, 5).part(2, 5).page({}).bytes()));
  // Through a link that it has brought along.
  EXPECT_TRUE(refused(Made()
                          .page({top, entry("top/l", Type::kSymlink, 0, "/tmp"), entry("top/l/x", Type::kFile, 0)})
                          .part(2, 0)
                          .page({})
                          .bytes()));
}

TEST_F(FileTreePack, AFileThatWasNotReadIsLeftOut) {
  const auto bytes = Made()
                         .page({entry("top", core::Type::kFolder), entry("top/f", core::Type::kFile, 5),
                                entry("top/g", core::Type::kFile, 2)})
                         .part(3, 5)
                         .part(0, 2, 2)
                         .part(2, 2)
                         .page({})
                         .bytes();
  const file::Unpacked back = unpack(bytes);
  EXPECT_EQ(back.files, 1);
  EXPECT_FALSE(fs::exists(root_ / "out/back/f"));
  EXPECT_EQ(content(root_ / "out/back/g"), "xx");
}

// No byte may bring it down, or out of its folder.
TEST_F(FileTreePack, DamagedBytes) {
  put("tree/a/file", "content");
  put("tree/b", std::string(3000, 'b'));
  const std::vector<std::byte> bytes = pack("tree", 4096);
  std::mt19937 random(3);
  for (int i = 0; i < 300; ++i) {
    std::vector<std::byte> damaged = bytes;
    damaged[random() % damaged.size()] ^= static_cast<std::byte>(1U << (random() % 8));
    if (random() % 3 == 0) damaged.resize(random() % damaged.size());
    try {
      unpack(damaged);
    } catch (const base::Error& error) {
      EXPECT_EQ(error.failure().kind, base::Kind::kIntegrity);
    }
    fs::remove_all(root_ / "out");
  }
  EXPECT_EQ(std::distance(fs::directory_iterator(root_), fs::directory_iterator()), 2);
}

}  // namespace
}  // namespace argosy
