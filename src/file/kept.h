// What a destination keeps until its tree is filled: of each folder its metadata, of each hard link its two names.
// Paths are kept as what differs from their neighbour's, in blocks that never move: some 40 bytes a folder.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/manifest.h"

namespace argosy::file {

// Records one behind the other.
class Blocks {
 public:
  void add(std::string_view record);
  void for_each(const std::function<void(std::string_view)>& use) const;
  void for_each_backwards(const std::function<void(std::string_view)>& use) const;

 private:
  std::vector<std::string> blocks_;
};

// What a folder gets once it is filled.
struct FolderRecord {
  std::uint64_t index = 0;  // of its entry
  core::Entry entry;        // path, mode, owner, mtime, attributes
  bool made = false;
};

class FolderRecords {
 public:
  void add(FolderRecord record);
  // From the highest index to the lowest; of those that are equal the last one first. Forgets them all. Where they were
  // not added in the order of their indices they are all in memory meanwhile.
  void take_backwards(const std::function<void(const FolderRecord&)>& use);

 private:
  void keep(const FolderRecord& record, const FolderRecord& next);

  Blocks blocks_;
  std::optional<FolderRecord> last_;  // the others are told from the one behind them
  bool ordered_ = true;
};

struct LinkRecord {
  std::string path;
  std::string first;
};

class LinkRecords {
 public:
  void add(const LinkRecord& record);
  // In the order in which they were added. Forgets them all.
  void take(const std::function<void(const LinkRecord&)>& use);

 private:
  Blocks blocks_;
  std::string last_;  // path
};

// Marks of folders, by the hash of their paths: 8 bytes each, and as much again for room.
class FolderMarks {
 public:
  enum Mark : std::uint8_t {
    kFresh = 1,   // made by this run: nothing is in it but what it puts there
    kStaged = 2,  // has had a stage
    kShared = 4,  // made by this run, and told of again by another giver
  };
  // False where it had the mark.
  bool set(std::string_view path, Mark mark);
  bool has(std::string_view path, Mark mark) const;

 private:
  std::size_t find(std::uint64_t key) const;
  void grow();

  std::vector<std::uint64_t> slots_;  // hash and marks; 0: free
  std::size_t used_ = 0;
};

}  // namespace argosy::file
