#include "file/clean.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <deque>
#include <memory>
#include <set>
#include <string_view>
#include <utility>

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

// The lock of a target, held by this process while it cleans; or that another one has it, or may have it.
class Hold {
 public:
  // `make`: where there is no lock, takes one, so that no run starts on the target meanwhile. Where that can't be done,
  // a full disk can still be cleaned.
  Hold(int folder, const std::string& name, bool make = false) {
    constexpr int kFlags = O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK;
    fd_ = base::Fd(openat(folder, name.c_str(), kFlags));
    if (!fd_.valid() && errno == ENOENT) {
      if (!make) return;
      fd_ = base::Fd(openat(folder, name.c_str(), kFlags | O_CREAT | O_EXCL, 0600));
      made_ = fd_.valid();
      busy_ = !made_ && errno == EEXIST;
      if (!made_) return;
    }
    // Another user's, say.
    busy_ = !fd_.valid() || flock(fd_.get(), LOCK_EX | LOCK_NB) != 0 || !is_still_there(folder, name);
  }
  bool busy() const { return busy_; }
  // It was not there before.
  bool made() const { return made_; }

 private:
  // Whoever held it has not removed it meanwhile.
  bool is_still_there(int folder, const std::string& name) const {
    struct stat by_name = {};
    struct stat by_fd = {};
    return fstatat(folder, name.c_str(), &by_name, AT_SYMLINK_NOFOLLOW) == 0 && fstat(fd_.get(), &by_fd) == 0 &&
           by_name.st_ino == by_fd.st_ino && by_name.st_dev == by_fd.st_dev;
  }

  base::Fd fd_;
  bool busy_ = false;
  bool made_ = false;
};

// The lock of a folder, beside it, and what it says: a run that fills it has that one, or one in it.
class FolderHold {
 public:
  FolderHold(int above, const std::string& name, int folder) : beside_(above, lock_name(name)) {
    // Not kept: it is among what is taken away.
    busy_ = beside_.busy() || Hold(folder, lock_name(".")).busy();
  }
  bool busy() const { return busy_; }

 private:
  Hold beside_;
  bool busy_ = false;
};

class Cleaner {
 public:
  explicit Cleaner(Cleaned& cleaned) : cleaned_(cleaned) {}

  void folder(int fd, const std::string& shown) {
    std::set<std::string> hashes;
    std::set<std::string> downloads;
    std::vector<std::string> below;
    for (const std::string& name : names_in(fd)) {
      base::note_activity();
      if (base::interrupted() != 0) return;
      if (is_temporary(name)) {
        hashes.insert(name.substr(0, name.find('.', 1)));
      } else if (std::string download = download_of(name); !download.empty()) {
        downloads.insert(std::move(download));
      } else if (is_folder_at(fd, name.c_str())) {
        if (is_signs(name)) {
          remove_signs(fd, name, shown);
        } else {
          below.push_back(name);
        }
      }
    }
    // The lock is on the file itself.
    for (const std::string& download : downloads) target(fd, download, {"", ".journal", ".aside"}, shown);
    for (const std::string& hash : hashes) {
      target(fd, hash, {".lock", ".part", ".new", ".journal", ".aside", ".tree", ".stage", ".stripe"}, shown);
    }
    for (const std::string& name : below) {
      const std::string path = fmt::format("{}/{}", shown, name);
      const base::Fd inner = open_folder_at(fd, name.c_str());
      if (!inner.valid()) {
        fail(path);
        continue;
      }
      const FolderHold hold(fd, name, inner.get());
      if (hold.busy()) {
        cleaned_.busy.push_back(path);
      } else {
        folder(inner.get(), path);
      }
    }
  }

 private:
  // All that begins with this stem, unless somebody holds the lock that has the first of the suffixes; it goes last.
  void target(int fd, const std::string& stem, const std::vector<std::string>& suffixes, const std::string& shown) {
    const Hold hold(fd, stem + suffixes.front(), true);
    if (hold.busy()) {
      cleaned_.busy.push_back(shown + '/' + stem + suffixes.front());
      return;
    }
    for (auto suffix = suffixes.rbegin(); suffix != suffixes.rend(); ++suffix) {
      const std::string name = stem + *suffix;
      struct stat status = {};
      if (fstatat(fd, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) continue;
      if (S_ISDIR(status.st_mode)) {
        const base::Fd inner = open_folder_at(fd, name.c_str());
        if (inner.valid() && flock(inner.get(), LOCK_EX | LOCK_NB) != 0) {
          cleaned_.busy.push_back(fmt::format("{}/{}", shown, name));
        } else {
          remove_tree(fd, name, shown);
        }
      } else {
        const bool own = hold.made() && suffix + 1 == suffixes.rend();
        remove_file(fd, name, own ? nullptr : &status, shown);
      }
    }
  }

  // Counted as a leftover where `status` is given.
  void remove_file(int fd, const std::string& name, const struct stat* status, const std::string& shown) {
    if (unlinkat(fd, name.c_str(), 0) != 0) return fail(fmt::format("{}/{}", shown, name));
    if (status == nullptr) return;
    ++cleaned_.removed;
    cleaned_.bytes += status->st_blocks * 512;
  }

  // Ranks that are alive hold the lock of their signs.
  void remove_signs(int fd, const std::string& name, const std::string& shown) {
    const base::Fd inner = open_folder_at(fd, name.c_str());
    if (!inner.valid()) return fail(fmt::format("{}/{}", shown, name));
    for (const std::string& sign : names_in(inner.get())) {
      if (!Hold(inner.get(), sign).busy()) continue;
      cleaned_.busy.push_back(fmt::format("{}/{}", shown, name));
      return;
    }
    remove_tree(fd, name, shown);
  }

  void remove_tree(int fd, const std::string& name, const std::string& shown) {
    const std::string path = fmt::format("{}/{}", shown, name);
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
    static_cast<void>(fchmodat(fd, name.c_str(), 0700, AT_SYMLINK_NOFOLLOW));
    const base::Fd inner = open_folder_at(fd, name.c_str());
    if (!inner.valid()) return fail(path);
    for (const std::string& below : names_in(inner.get())) {
      base::note_activity();
      struct stat status = {};
      if (fstatat(inner.get(), below.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) continue;
      if (S_ISDIR(status.st_mode)) {
        remove_tree(inner.get(), below, path);
      } else {
        remove_file(inner.get(), below, &status, path);
      }
    }
    if (unlinkat(fd, name.c_str(), AT_REMOVEDIR) == 0) {
      ++cleaned_.removed;
    } else {
      fail(path);
    }
  }

  void fail(const std::string& shown) {
    if (errno == ENOENT) return;  // somebody else has taken it away
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
  // It may itself lie in a tree that a run fills.
  const std::unique_ptr<char, decltype(&free)> real(realpath(directory.c_str(), nullptr), free);
  if (!real) throw base::system_error(Kind::kDestination, directory, errno, "can't be read");
  std::deque<FolderHold> holds;
  for (std::string at = real.get(); at != "/";) {
    const std::size_t slash = at.rfind('/');
    const std::string above = slash == 0 ? "/" : at.substr(0, slash);
    const base::Fd folder(open(at.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    const base::Fd outer(open(above.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!folder.valid() || !outer.valid())
      throw base::system_error(Kind::kDestination, directory, errno, "can't be read");
    if (holds.emplace_back(outer.get(), at.substr(slash + 1), folder.get()).busy()) {
      cleaned.busy.push_back(path);
      return cleaned;
    }
    at = above;
  }
  Cleaner(cleaned).folder(fd.get(), path);
  return cleaned;
}

}  // namespace argosy::file
