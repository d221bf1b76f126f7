// Journals as they lie on the disk: what of them counts.
#include "file/journal.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <string>

#include "base/bytes.h"
#include "file/temporary.h"

namespace argosy::file {
namespace {

constexpr std::int64_t kLeaf = base::kLeafSize;
constexpr std::int64_t kSize = 40 * kLeaf;

// A folder with a file of zeros of which an earlier run has written some.
class JournalOnDisk : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_NE(mkdtemp(path_.data()), nullptr);
    folder_ = base::Fd(open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    part_ = base::Fd(openat(folder_.get(), temporary_name("name").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    struct stat status = {};
    ASSERT_TRUE(ftruncate(part_.get(), kSize) == 0 && fstat(part_.get(), &status) == 0);
    inode_ = status.st_ino;
    entry_.path = "folder/name";
    entry_.size = kSize;
    entry_.mtime = {1'700'000'000, 5};
  }
  void TearDown() override {
    for (const std::string& name :
         {temporary_name("name"), journal_name("name"), aside_name("name"), std::string("other")})
      static_cast<void>(unlinkat(folder_.get(), name.c_str(), 0));
    EXPECT_EQ(rmdir(path_.c_str()), 0);
  }

  void begin(const std::string& boot) {
    bytes_ = Journal::encode_head(Journal::key_of(entry_), boot, inode_);
    head_ = base::Reader(std::span(bytes_).last(8)).get<std::uint64_t>();
  }
  void add(const Journal::Record& record) {
    const std::vector<std::byte> more = Journal::encode(record, head_);
    bytes_.insert(bytes_.end(), more.begin(), more.end());
  }
  void add(std::int64_t from, std::int64_t to, bool durable = false) {
    add({{from * kLeaf, to * kLeaf}, base::digest_of_zeros(from * kLeaf, (to - from) * kLeaf), durable});
  }
  Recovered recovered() {
    const base::Fd fd(openat(folder_.get(), journal_name("name").c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600));
    EXPECT_EQ(write(fd.get(), bytes_.data(), bytes_.size()), static_cast<ssize_t>(bytes_.size()));
    return recover(folder_.get(), "name", entry_);
  }
  // The leaves that are there, in words.
  static std::string leaves(const Recovered& found) {
    std::string text;
    core::Held held;
    held.parts = found.parts;
    const core::Ranges ranges = held.ranges();
    for (const core::Range& range : ranges.all())
      text += std::to_string(range.begin / kLeaf) + "-" + std::to_string(range.end / kLeaf) + " ";
    return text;
  }
  bool is_aside() { return faccessat(folder_.get(), aside_name("name").c_str(), F_OK, 0) == 0; }

  std::string path_ = "/tmp/argosy-journal-XXXXXX";
  base::Fd folder_;
  base::Fd part_;
  std::uint64_t inode_ = 0;
  core::Entry entry_;
  std::vector<std::byte> bytes_;
  std::uint64_t head_ = 0;
};

TEST_F(JournalOnDisk, CountsAsFarAsItReadsSo) {
  begin(boot_id());
  add(0, 4);
  add({{4 * kLeaf, 5 * kLeaf}, {1, 2}, false});  // the file reads otherwise
  add(8, 9);
  add(4, 5);  // and was written once more
  add(3, 6);  // some of it is known
  add(7, 8);
  Recovered found = recovered();
  EXPECT_EQ(leaves(found), "0-5 7-9 ");
  EXPECT_EQ(found.bytes, static_cast<std::int64_t>(bytes_.size()));
  for (const core::Part& part : found.parts) {
    EXPECT_EQ(part.digest, base::digest_of_zeros(part.range.begin, part.range.end - part.range.begin));
  }
}

TEST_F(JournalOnDisk, OfAnotherBootOnlyWhatWasOnTheDisk) {
  begin("another boot");
  add(0, 4);
  add(6, 8, true);
  Recovered found = recovered();
  EXPECT_EQ(leaves(found), "6-8 ");
  // What the run after the reboot adds is of this boot.
  {
    Journal journal(found, part_.get(), false, "name");
    journal.add({0, kLeaf}, base::digest_of_zeros(0, kLeaf));
  }
  EXPECT_EQ(leaves(recover(folder_.get(), "name", entry_)), "0-1 6-8 ");
}

TEST_F(JournalOnDisk, OfABootThatHasPassedSince) {
  begin(boot_id());
  add(0, 1);
  add(Journal::boot_record("another boot"));
  add(1, 2);
  add(2, 3, true);
  add(Journal::boot_record(boot_id()));
  add(3, 4);
  EXPECT_EQ(leaves(recovered()), "0-1 2-4 ");
}

TEST_F(JournalOnDisk, HasNoGreatestLength) {
  begin(boot_id());
  add(0, 1);
  const std::vector<std::byte> record(bytes_.end() - Journal::kRecordBytes, bytes_.end());
  const std::size_t head = bytes_.size() - record.size();
  constexpr std::size_t kRecords = (70U << 20) / Journal::kRecordBytes;
  bytes_.resize(head + kRecords * record.size());
  for (std::size_t i = 0; i < kRecords; ++i) {
    std::copy(record.begin(), record.end(), bytes_.begin() + static_cast<std::ptrdiff_t>(head + i * record.size()));
  }
  add(5, 6);
  EXPECT_EQ(leaves(recovered()), "0-1 5-6 ");
}

TEST_F(JournalOnDisk, PartsAreCutWhereOthersCutThem) {
  entry_.size = 1000 * kLeaf;  // two leaves a part
  ASSERT_EQ(core::part_size(entry_.size), 2 * kLeaf);
  begin(boot_id());
  add(1, 4);
  add(6, 7);
  add(5, 6);
  add(4, 5);
  const Recovered found = recovered();
  std::string text;
  for (const core::Part& part : found.parts)
    text += std::to_string(part.range.begin / kLeaf) + "-" + std::to_string(part.range.end / kLeaf) + " ";
  EXPECT_EQ(text, "1-2 2-4 4-6 6-7 ");
}

TEST_F(JournalOnDisk, WhatOthersMayWriteIsNotTrusted) {
  begin(boot_id());
  add(0, 4);
  ASSERT_EQ(fchmod(part_.get(), 0660), 0);
  EXPECT_EQ(leaves(recovered()), "");
  ASSERT_EQ(fchmod(part_.get(), 0600), 0);
  ASSERT_EQ(linkat(folder_.get(), temporary_name("name").c_str(), folder_.get(), "other", 0), 0);
  EXPECT_EQ(leaves(recovered()), "");
  ASSERT_EQ(unlinkat(folder_.get(), "other", 0), 0);
  EXPECT_EQ(leaves(recovered()), "0-4 ");
  EXPECT_FALSE(is_aside());
  ASSERT_EQ(fchmodat(folder_.get(), journal_name("name").c_str(), 0602, 0), 0);
  EXPECT_EQ(leaves(recovered()), "");
  EXPECT_TRUE(is_aside());
}

TEST_F(JournalOnDisk, WhatItBeganIsToldWithoutALookAtItsBytes) {
  const auto told = [this] {
    static_cast<void>(recovered());  // writes it
    return begun({folder_.get(), journal_name("name"), aside_name("name")}, part_.get());
  };
  begin(boot_id());
  add(0, 4);
  add({{6 * kLeaf, 8 * kLeaf}, {1, 2}, false});
  add(7, 9);
  auto one = told();
  ASSERT_TRUE(one);
  EXPECT_EQ(one->key, Journal::key_of(entry_));
  EXPECT_EQ(one->gap, (core::Range{4 * kLeaf, 6 * kLeaf}));
  EXPECT_EQ(one->bytes, 6 * kLeaf);
  begin("another boot");
  add(0, 4);
  one = told();
  ASSERT_TRUE(one);
  EXPECT_EQ(one->bytes, 0);
  begin(boot_id());
  add(0, 40, true);
  one = told();
  ASSERT_TRUE(one);
  EXPECT_EQ(one->gap, (core::Range{kSize, kSize}));
  ++inode_;
  begin(boot_id());
  EXPECT_FALSE(told());
  EXPECT_FALSE(is_aside());
  bytes_[20] ^= std::byte{1};
  EXPECT_FALSE(told());
  EXPECT_TRUE(is_aside());
}

TEST_F(JournalOnDisk, OfADownloadIsWhatItsNameSays) {
  const auto there = [this](const Journal::Key& key) {
    static_cast<void>(recovered());
    const JournalNames names{folder_.get(), journal_name("name"), aside_name("name")};
    return leaves(recover(names, base::Fd(fcntl(part_.get(), F_DUPFD_CLOEXEC, 0)), key, "name"));
  };
  begin(boot_id());
  add(0, 4);
  const Journal::Key key = Journal::key_of(entry_);
  ASSERT_EQ(fchmod(part_.get(), 0664), 0);  // as a umask may have it: its other writers are this user's affair
  EXPECT_EQ(there(key), "0-4 ");
  Journal::Key other = key;
  other.name = "another";
  EXPECT_EQ(there(other), "");
  other = key;
  ++other.size;
  EXPECT_EQ(there(other), "");
  EXPECT_FALSE(is_aside()) << "another version's is no damage";
}

TEST_F(JournalOnDisk, OfAnotherUserIsNotTrusted) {
  if (geteuid() != 0) GTEST_SKIP() << "only root can give a file away";
  begin(boot_id());
  add(0, 4);
  ASSERT_EQ(fchown(part_.get(), 12345, 12345), 0);
  EXPECT_EQ(leaves(recovered()), "");
}

}  // namespace
}  // namespace argosy::file
