// Where the files of a new folder are made when all of them are known to be small: in a folder beside it that has a
// short name of its own (`.argosy-HASH.stage`) and takes the place of the empty one by a single rename once they are
// all there. Every name is whole when it is seen, and no file needs a link or a rename of its own, which costs as much
// as writing its data does.
//
// A run holds the kernel's lock (flock) of such a folder, which is how another one, whose locks lie elsewhere, knows it
// from a leftover: it may have been told of the same tree beneath another folder.
//
// A run that is killed leaves such a folder beside the empty one. What is whole in it has the source's size and time
// and is taken over by the next run (Writer::rescue); the rest goes.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "file/folders.h"

namespace argosy::file {

class Stage {
 public:
  // For the folder `path`, which is in `above`, and which this run has made. Null where none can be had: then `path`
  // itself is filled. Held by whoever made it, until settled(). Blocks.
  static std::shared_ptr<Stage> make(std::shared_ptr<const OpenFolder> above, const std::string& path);

  // Where the files are made.
  const std::shared_ptr<const OpenFolder>& folder() const { return folder_; }
  const std::string& path() const { return path_; }
  // One more file will come, or will not; any thread. True when that was the last thing it waited for.
  void expect() { awaited_.fetch_add(1, std::memory_order_relaxed); }
  bool settled() { return awaited_.fetch_sub(1, std::memory_order_acq_rel) == 1; }
  // Puts it in the place of the empty folder. Blocks. Throws base::Error (kDestination), about `shown`.
  void show(const std::string& shown) const;
  // What is still in the folder that was filled: after show() has failed, the files that nobody sees. Blocks.
  struct Left {
    std::int64_t files = 0;
    std::int64_t bytes = 0;
  };
  Left left() const;

 private:
  Stage(std::shared_ptr<const OpenFolder> above, const std::string& path);
  void move_files(const std::string& shown) const;

  std::shared_ptr<const OpenFolder> above_;
  std::string path_;
  std::string name_;    // of the folder that is to be filled
  std::string hidden_;  // of the one that is filled in its stead
  std::shared_ptr<const OpenFolder> folder_;
  std::atomic<int> awaited_{1};
};

// What an earlier run has left beside the folder `path` in `above`, locked for as long as it is open; null where there
// is nothing, or another run is at it.
std::shared_ptr<const OpenFolder> open_left_stage(const OpenFolder& above, const std::string& path);
// Takes away `stage`, which is such a one, with what is in it. As far as that is possible: `clean` knows it by its
// name.
void remove_left_stage(const OpenFolder& above, const OpenFolder& stage, const std::string& path);

}  // namespace argosy::file
