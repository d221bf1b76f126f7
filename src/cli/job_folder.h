// A folder for what a job's MPI leaves behind when it is killed: shared memory segments, above all, which nobody else
// would ever remove.
#pragma once

#include <string>

#include "base/fd.h"

namespace argosy::cli {

class JobFolder {
 public:
  // Makes "PARENT/argosy-XXXXXX", for this user only, and locks it. Where that can't be, path() is empty: the job does
  // without. Removes those of this user's that are ten minutes old and that nobody holds. Blocks.
  explicit JobFolder(const std::string& parent);
  // Removes it with everything in it. Blocks as long as that takes.
  ~JobFolder();
  JobFolder(const JobFolder&) = delete;
  JobFolder& operator=(const JobFolder&) = delete;

  const std::string& path() const { return path_; }

 private:
  std::string path_;
  base::Fd held_;
};

}  // namespace argosy::cli
