// What a destination keeps of folders and links comes back as it was, in the order that it is needed in.
#include "file/kept.h"

#include <gtest/gtest.h>

#include <random>
#include <set>

namespace argosy::file {
namespace {

FolderRecord random_record(std::mt19937_64& random, std::uint64_t index) {
  FolderRecord record;
  record.index = index;
  record.made = random() % 2 == 0;
  record.entry.path = "tree";
  for (std::uint64_t i = random() % 5; i > 0; --i) record.entry.path += "/" + std::string(random() % 200, 'd') + "x";
  record.entry.mode = static_cast<std::uint32_t>(random() % 07777);
  record.entry.uid = random() % 3 == 0 ? UINT32_MAX : 1000;
  record.entry.gid = random() % 3 == 0 ? 1U << 31U : 0;
  record.entry.mtime = {static_cast<std::int64_t>(random() % 5) - 2,
                        static_cast<std::int32_t>(random() % 1'000'000'000)};
  if (random() % 50 == 0) record.entry.attributes = {{"user.a", std::string("\0\xff", 2)}, {"user.b", ""}};
  if (random() % 500 == 0) record.entry.attributes = {{"user.large", std::string(200'000, 'v')}};
  return record;
}

void expect_same(const FolderRecord& one, const FolderRecord& other) {
  ASSERT_EQ(one.index, other.index);
  ASSERT_EQ(one.made, other.made);
  ASSERT_EQ(one.entry.path, other.entry.path);
  ASSERT_EQ(one.entry.mode, other.entry.mode);
  ASSERT_EQ(one.entry.uid, other.entry.uid);
  ASSERT_EQ(one.entry.gid, other.entry.gid);
  ASSERT_EQ(one.entry.mtime, other.entry.mtime);
  ASSERT_EQ(one.entry.attributes, other.entry.attributes);
}

TEST(Kept, FoldersComeBackFromTheLastToTheFirst) {
  std::mt19937_64 random(5);
  for (const std::size_t count : {0UL, 1UL, 2UL, 5000UL}) {
    FolderRecords records;
    std::vector<FolderRecord> all;
    for (std::size_t i = 0; i < count; ++i) {
      all.push_back(random_record(random, 3 * i));
      records.add(all.back());
    }
    for (int round = 0; round < 2; ++round) {
      records.take_backwards([&](const FolderRecord& record) {
        ASSERT_FALSE(all.empty());
        expect_same(record, all.back());
        all.pop_back();
      });
      EXPECT_TRUE(all.empty());
    }
  }
}

TEST(Kept, FoldersOfSeveralGiversComeInTheOrderOfTheirIndices) {
  std::mt19937_64 random(6);
  FolderRecords records;
  std::vector<FolderRecord> all;
  for (std::uint64_t i = 0; i < 2000; ++i) {
    all.push_back(random_record(random, random() % 3 << 40U | i / 2));
    records.add(all.back());
  }
  std::reverse(all.begin(), all.end());
  std::stable_sort(all.begin(), all.end(), [](const auto& one, const auto& other) { return one.index > other.index; });
  std::size_t at = 0;
  records.take_backwards([&](const FolderRecord& record) { expect_same(record, all.at(at++)); });
  EXPECT_EQ(at, all.size());
}

TEST(Kept, LinksComeBackInTheirOrder) {
  LinkRecords records;
  std::vector<LinkRecord> all;
  for (int i = 0; i < 5000; ++i) {
    all.push_back(
        {"t/" + std::to_string(i % 70) + "/n" + std::to_string(i), i % 3 == 0 ? "t/a" : "other/" + std::to_string(i)});
    records.add(all.back());
  }
  std::size_t at = 0;
  for (int round = 0; round < 2; ++round) {
    records.take([&](const LinkRecord& record) {
      ASSERT_LT(at, all.size());
      EXPECT_EQ(record.path, all[at].path);
      EXPECT_EQ(record.first, all[at++].first);
    });
    EXPECT_EQ(at, all.size());
  }
}

TEST(Kept, MarksAreOfTheirFolders) {
  FolderMarks marks;
  std::set<std::string> shared;
  std::set<std::string> fresh;
  EXPECT_FALSE(marks.has("", FolderMarks::kShared));
  for (int i = 0; i < 20'000; ++i) {
    const std::string path = "f" + std::to_string(i * 7 % 15'000);
    EXPECT_EQ(marks.set(path, FolderMarks::kShared), shared.insert(path).second);
    if (i % 3 == 0) EXPECT_EQ(marks.set(path, FolderMarks::kFresh), fresh.insert(path).second);
  }
  for (int i = 0; i < 16'000; ++i) {
    const std::string path = "f" + std::to_string(i);
    EXPECT_EQ(marks.has(path, FolderMarks::kShared), shared.contains(path));
    EXPECT_EQ(marks.has(path, FolderMarks::kFresh), fresh.contains(path));
    EXPECT_FALSE(marks.has(path, FolderMarks::kStaged));
  }
}

}  // namespace
}  // namespace argosy::file
