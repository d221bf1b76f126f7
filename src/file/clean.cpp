#include "file/clean.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <set>
#include <string_view>

#include "base/activity.h"
#include "base/fd.h"
#include "base/interrupt.h"
#include "file/folders.h"
#include "file/stripe_workplace.h"
#include "file/temporary.h"

namespace argosy::file {

namespace {

using base::Kind;

bool is_folder_at(int folder, const char* name) {
  struct stat status = {};
  return fstatat(folder, name, &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(status.st_mode);
}

base::Fd open_folder_at(int folder, const char* name) {
  return base::Fd(openat(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
}

// The lock of a target, held by this process while it cleans; or that another one has it.
class Hold {
 public:
  Hold(int folder, const std::string& name) {
    fd_ = base::Fd(openat(folder, name.c_str(), O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK));
    if (fd_.valid()) busy_ = flock(fd_.get(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
  }
  bool busy() const { return busy_; }

 private:
  base::Fd fd_;
  bool busy_ = false;
};

class Cleaner {
 public:
  explicit Cleaner(Cleaned& cleaned) : cleaned_(cleaned) {}

  void folder(int fd, const std::string& shown) {
    std::set<std::string> hashes;
    std::vector<std::string> below;
    for (const std::string& name : names_in(fd)) {
      base::note_activity();
      if (base::interrupted() != 0) return;
      if (is_temporary(name)) {
        hashes.insert(name.substr(0, name.find('.', 1)));
      } else if (is_download(name)) {
        // The lock is on the file itself.
        target(fd, name, {""}, shown);
      } else if (is_signs(name)) {
        remove_tree(fd, name, shown);
      } else if (is_folder_at(fd, name.c_str())) {
        below.push_back(name);
      }
    }
    for (const std::string& hash : hashes) {
      target(fd, hash, {".lock", ".part", ".new", ".journal", ".aside", ".tree", ".stage", ".stripe"}, shown);
    }
    for (const std::string& name : below) {
      const Hold hold(fd, lock_name(name));
      const std::string path = fmt::format("{}/{}", shown, name);
      if (hold.busy()) {
        cleaned_.busy.push_back(path);
        continue;
      }
      const base::Fd inner = open_folder_at(fd, name.c_str());
      if (inner.valid()) {
        folder(inner.get(), path);
      } else {
        fail(path);
      }
    }
  }

 private:
  // All that begins with this stem, unless somebody holds the lock that has the first of the suffixes; it goes last.
  void target(int fd, const std::string& stem, const std::vector<std::string>& suffixes, const std::string& shown) {
    const Hold hold(fd, stem + suffixes.front());
    if (hold.busy()) {
      cleaned_.busy.push_back(shown + '/' + stem + suffixes.front());
      return;
    }
    for (auto suffix = suffixes.rbegin(); suffix != suffixes.rend(); ++suffix) {
      const std::string name = stem + *suffix;
      struct stat status = {};
      if (fstatat(fd, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) continue;
      if (S_ISDIR(status.st_mode)) {
        remove_tree(fd, name, shown);
      } else if (unlinkat(fd, name.c_str(), 0) == 0) {
        ++cleaned_.removed;
        cleaned_.bytes += status.st_blocks * 512;
      } else {
        fail(fmt::format("{}/{}", shown, name));
      }
    }
  }

  void remove_tree(int fd, const std::string& name, const std::string& shown) {
    const std::string path = shown + '/' + name;
    if (name.ends_with(".stripe")) {
      for (const std::string& one : names_in(fd, name)) {
        if (!is_needed(fd, name, one)) continue;
        cleaned_.failures.push_back({Kind::kDestination,
                                     path,
                                     -1,
                                     {},
                                     0,
                                     "is left alone: it may be all that there is of a stripe; argosy repair, or "
                                     "scattering again, puts it in order"});
        return;
      }
    }
    // A folder that was to be read-only is still to be emptied.
    static_cast<void>(fchmodat(fd, name.c_str(), 0700, 0));
    const base::Fd inner = open_folder_at(fd, name.c_str());
    if (!inner.valid()) return fail(path);
    for (const std::string& below : names_in(inner.get())) {
      base::note_activity();
      struct stat status = {};
      if (fstatat(inner.get(), below.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) continue;
      if (S_ISDIR(status.st_mode)) {
        remove_tree(inner.get(), below, path);
      } else if (unlinkat(inner.get(), below.c_str(), 0) == 0) {
        ++cleaned_.removed;
        cleaned_.bytes += status.st_blocks * 512;
      } else {
        fail(fmt::format("{}/{}", path, below));
      }
    }
    if (unlinkat(fd, name.c_str(), AT_REMOVEDIR) == 0) {
      ++cleaned_.removed;
    } else {
      fail(path);
    }
  }

  void fail(const std::string& shown) {
    cleaned_.failures.push_back(base::system_error(Kind::kDestination, shown, errno, "can't be taken away").failure());
  }

  Cleaned& cleaned_;
};

}  // namespace

Cleaned clean(const std::string& directory) {
  Cleaned cleaned;
  const base::Fd fd(open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid()) throw base::system_error(Kind::kDestination, directory, errno, "can't be read");
  std::string path = directory;
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  // It may itself be a tree that a run fills, whose lock lies beside it.
  const base::Fd above = open_folder_at(fd.get(), "..");
  if (above.valid()) {
    const Hold hold(above.get(), lock_name(name_of(path)));
    if (hold.busy()) {
      cleaned.busy.push_back(path);
      return cleaned;
    }
  }
  Cleaner(cleaned).folder(fd.get(), path);
  return cleaned;
}

}  // namespace argosy::file
