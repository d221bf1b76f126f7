// Folders of a destination, and names beneath them. Nothing here follows a symbolic link out of the folder it was
// given.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/fd.h"

namespace argosy::file {

// The destination's folder, made with its parents where missing.
class Folder {
 public:
  // Blocks. Throws base::Error (kDestination): it can't be made, is no folder, or its file system has less room than
  // `bytes` (checked before anything is made).
  Folder(std::string path, std::int64_t bytes);
  int fd() const { return fd_.get(); }
  const std::string& path() const { return path_; }
  // What a name beneath it is called in messages.
  std::string shown(const std::string& name) const;
  // Makes the names in it durable. Throws base::Error (kDestination).
  void sync() const;
  // Throws base::Error (kDestination) where path() leads to another folder by now than the one that was opened, or
  // nowhere: what was put in it is not where the user looks for it.
  void check_path() const;
  // Removes the folders that the constructor made, as far as they are empty: a run that put nothing there leaves
  // nothing.
  void remove_made();

 private:
  std::string path_;
  base::Fd fd_;
  std::vector<std::string> made_;
};

inline constexpr const char* kSwapped =
    "has been moved away while it was written: what came is in the folder that had this name";

// Throws base::Error (kDestination) where the file system of `path` has less room than `bytes`. Blocks.
void check_room(const std::string& path, std::int64_t bytes);

// Device and inode of what is at `path`, following symbolic links; nothing where that is no folder. Block.
std::optional<std::pair<dev_t, ino_t>> folder_id(const std::string& path);
bool is_folder(const std::string& path);

// A sign that a rank leaves in its folder, so that ranks whose folders are one (a file system that several nodes see)
// find each other. Removed with the object.
class Sign {
 public:
  // Blocks, as everything here does. Throws base::Error (kDestination).
  Sign(const Folder& folder, std::int64_t job, int rank);
  ~Sign();
  Sign(const Sign&) = delete;
  Sign& operator=(const Sign&) = delete;

  // Once all ranks have left theirs: no lower rank's is in the same folder.
  bool is_lowest() const { return lowest() == rank_; }
  // The lowest rank whose sign is in the same folder.
  int lowest() const;

 private:
  const Folder& folder_;
  std::string signs_;  // a folder of the job's own in it
  std::string name_;
  base::Fd file_;  // locked: `clean` leaves it alone
  int rank_;
};

}  // namespace argosy::file
