#include "cli/job_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <string_view>

namespace argosy::cli {

namespace {

namespace fs = std::filesystem;

constexpr std::string_view kPrefix = "argosy-";
constexpr std::size_t kNameLength = kPrefix.size() + 6;  // as mkdtemp(3) makes them
constexpr time_t kOld = 600;                             // seconds

base::Fd open_folder(const std::string& path) {
  return base::Fd(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
}

// Folders of this user whose jobs are no more: a supervisor that is killed leaves its own.
void remove_left(const std::string& parent) {
  std::error_code error;
  for (fs::directory_iterator it(parent, error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename();
    if (name.size() != kNameLength || !name.starts_with(kPrefix)) continue;
    const base::Fd fd = open_folder(it->path());
    struct stat status = {};
    if (!fd.valid() || fstat(fd.get(), &status) != 0 || status.st_uid != geteuid()) continue;
    // One that has just been made may not be locked yet.
    if (time(nullptr) - status.st_mtime < kOld || flock(fd.get(), LOCK_EX | LOCK_NB) != 0) continue;
    std::error_code ignored;
    fs::remove_all(it->path(), ignored);
  }
}

}  // namespace

JobFolder::JobFolder(const std::string& parent) : path_(parent + "/argosy-XXXXXX") {
  remove_left(parent);
  if (mkdtemp(path_.data()) == nullptr) {
    path_.clear();
    return;
  }
  // Held for as long as the job lives; without it others may think that it is no more, but only when it is old.
  held_ = open_folder(path_);
  if (held_.valid()) static_cast<void>(flock(held_.get(), LOCK_EX | LOCK_NB));
}

JobFolder::~JobFolder() {
  if (path_.empty()) return;
  // What can't be removed stays, as it would have without us.
  std::error_code error;
  std::filesystem::remove_all(path_, error);
}

}  // namespace argosy::cli
