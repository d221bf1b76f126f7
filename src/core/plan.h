// The plan: which part of which file each chunk carries. The data bytes of the wanted files are laid end to end: a file
// of at least a chunk starts on a chunk boundary and owns whole chunks, small files are packed many to a chunk. Pure;
// the origin asks for one chunk after another while the manifest still grows.
#pragma once

#include <cstdint>
#include <deque>
#include <vector>

#include "core/ranges.h"

namespace argosy::core {

// A contiguous part of one file. `length` is 0 for an empty file, and for an open-ended file the most that may come.
struct Extent {
  std::uint64_t entry = 0;
  std::int64_t offset = 0;
  std::int64_t length = 0;
  bool small = false;       // the whole file, less than a chunk
  bool last = false;        // of its file, whose size is known
  bool open_ended = false;  // read until the end shows
  bool hole = false;        // known to be one: longer than a chunk, perhaps, since nothing of it travels
  std::int64_t rest = 0;    // how much more of the file follows at once and is wanted
};

// A hole is told in parts of at most this, so that the I/O threads share the work of its digest.
inline constexpr std::int64_t kLongestHole = std::int64_t{1} << 30;

class Planner {
 public:
  // `chunk_size` in bytes, a multiple of base::kLeafSize.
  explicit Planner(std::int64_t chunk_size) : chunk_size_(chunk_size) {}

  // The next file of the manifest that is to be moved; `size` is not negative.
  void add(std::uint64_t entry, std::int64_t size, bool open_ended) { add(entry, size, open_ended, {}); }
  // Of a file of at least a chunk `held` need not be moved; returns how many bytes are.
  std::int64_t add(std::uint64_t entry, std::int64_t size, bool open_ended, const Ranges& held);

  // What of this file has not been planned yet is a hole up to `until`, a multiple of base::kLeafSize or the file's
  // end.
  void hole(std::uint64_t entry, std::int64_t until);

  // No more of this file: what has not been planned of it never will be. An open-ended file ends this way.
  void end(std::uint64_t entry);

  // No more of any file.
  void clear() { files_.clear(); }

  // The extents of the next chunk, or nothing when there is none; with `more_to_come` a chunk that small files fill
  // only partly waits for more of them.
  std::vector<Extent> next(bool more_to_come);

  // How many files are not planned to their end.
  std::size_t waiting() const { return files_.size(); }

 private:
  struct File {
    std::uint64_t entry = 0;
    std::int64_t size = 0;
    std::int64_t planned = 0;
    bool open_ended = false;
    std::int64_t hole_until = 0;
    std::deque<Range> wanted = {};  // of a file of at least a chunk
  };
  bool is_small(const File& file) const { return !file.open_ended && file.size < chunk_size_; }

  std::int64_t chunk_size_;
  std::deque<File> files_;
};

}  // namespace argosy::core
