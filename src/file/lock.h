// One run at a time on a target: a lock file beside it that names its holder. What holds is the kernel's lock (flock),
// so a run that was killed leaves a file but no lock.
#pragma once

#include <string>

#include "base/fd.h"

namespace argosy::file {

class Lock {
 public:
  // Takes the lock `name` in the folder `folder` for the target that messages call `shown`. Does not wait: throws
  // base::Error (kDestination) that names the holder's host and pid when another run has it.
  Lock(int folder, std::string name, const std::string& shown);
  // Removes the file and gives the lock back.
  ~Lock();
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;

 private:
  int folder_;
  std::string name_;
  base::Fd fd_;
};

}  // namespace argosy::file
