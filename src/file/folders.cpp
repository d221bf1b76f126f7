#include "file/folders.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <climits>

namespace argosy::file {

namespace {

constexpr std::size_t kMostKept = 192;
// By all in the process.
std::atomic<std::size_t> kept_by_all{0};

// What all may keep: files, and whatever MPI has open, need descriptors too.
std::size_t most_kept_by_all() {
  static const std::size_t kMost = [] {
    rlimit limit = {};
    return getrlimit(RLIMIT_NOFILE, &limit) == 0 ? static_cast<std::size_t>(limit.rlim_cur / 4) : kMostKept;
  }();
  return kMost;
}
constexpr int kFlags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;

// One system call for the whole path, which the kernel keeps beneath `base`. -1 with errno; ENOSYS where it can't.
int open_beneath(int base, const std::string& path) {
  // Old kernels have no such call, and some sandboxes forbid it: asked once.
  static std::atomic<bool> missing{false};
  if (missing.load(std::memory_order_relaxed) || path.size() >= PATH_MAX) {
    errno = ENOSYS;
    return -1;
  }
  open_how how{};
  how.flags = kFlags;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  const long fd = syscall(SYS_openat2, base, path.c_str(), &how, sizeof how);
  if (fd < 0 && (errno == ENOSYS || errno == EPERM || errno == EINVAL)) {
    missing.store(true, std::memory_order_relaxed);
    errno = ENOSYS;
  }
  return static_cast<int>(fd);
}

std::shared_ptr<const OpenFolder> look_at(int fd) {
  auto folder = std::make_shared<OpenFolder>();
  folder->fd = base::Fd(fd);
  struct stat status = {};
  if (fstat(fd, &status) != 0) return nullptr;
  folder->device = status.st_dev;
  folder->inode = status.st_ino;
  folder->gives_group = (status.st_mode & S_ISGID) != 0;
  folder->gives_acl = fgetxattr(fd, "system.posix_acl_default", nullptr, 0) > 0;
  return folder;
}

}  // namespace

std::string_view name_of(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? path : path.substr(slash + 1);
}

std::string_view parent_of(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? std::string_view{} : path.substr(0, slash);
}

std::shared_ptr<const OpenFolder> open_in(const OpenFolder& above, const std::string& name) {
  const int fd = openat(above.fd.get(), name.c_str(), kFlags);
  return fd < 0 ? nullptr : look_at(fd);
}

std::shared_ptr<const OpenFolder> Folders::find(std::string_view path, std::uint64_t& forgotten) {
  const std::lock_guard lock(mutex_);
  forgotten = forgotten_;
  const auto found = by_path_.find(path);
  if (found == by_path_.end()) return nullptr;
  kept_.splice(kept_.begin(), kept_, found->second);
  return kept_.front().second;
}

void Folders::forget(const std::string& path) {
  const std::lock_guard lock(mutex_);
  ++forgotten_;
  const auto found = by_path_.find(path);
  if (found == by_path_.end()) return;
  const auto kept = found->second;
  by_path_.erase(found);
  kept_.erase(kept);
  kept_by_all.fetch_sub(1, std::memory_order_relaxed);
}

void Folders::forget_all() {
  const std::lock_guard lock(mutex_);
  ++forgotten_;
  while (!kept_.empty()) forget_last();
}

Folders::~Folders() { forget_all(); }

// Under the lock.
void Folders::forget_last() {
  by_path_.erase(kept_.back().first);
  kept_.pop_back();
  kept_by_all.fetch_sub(1, std::memory_order_relaxed);
}

void Folders::keep(const std::string& path, std::shared_ptr<const OpenFolder> folder, std::uint64_t forgotten) {
  const std::lock_guard lock(mutex_);
  // What was opened before another folder took its name may be the one that had it.
  if (forgotten != forgotten_ || by_path_.contains(path)) return;
  kept_.emplace_front(path, std::move(folder));
  by_path_.emplace(kept_.front().first, kept_.begin());
  const std::size_t by_all = kept_by_all.fetch_add(1, std::memory_order_relaxed) + 1;
  if (kept_.size() > kMostKept || (by_all > most_kept_by_all() && kept_.size() > 1)) forget_last();
}

std::vector<std::string> names_in(int folder, const std::string& name) {
  std::vector<std::string> names;
  base::Fd fd(openat(folder, name.c_str(), kFlags));
  if (!fd.valid()) return names;
  const std::unique_ptr<DIR, int (*)(DIR*)> listing(fdopendir(fd.get()), closedir);
  if (!listing) return names;
  static_cast<void>(fd.release());
  while (const dirent* entry = readdir(listing.get())) {
    const std::string_view one = entry->d_name;
    if (one != "." && one != "..") names.emplace_back(one);
  }
  return names;
}

// Where one call can't do it: a name at a time, from the nearest folder above that is kept. -1 with errno.
int Folders::open_by_names(std::string_view path) {
  std::shared_ptr<const OpenFolder> nearest;
  std::string_view above = parent_of(path);
  for (std::uint64_t forgotten = 0; !above.empty(); above = parent_of(above)) {
    if ((nearest = find(above, forgotten))) break;
  }
  if (nearest) path.remove_prefix(above.size() + 1);
  base::Fd last;
  while (true) {
    const int here = last.valid() ? last.get() : nearest ? nearest->fd.get() : base_;
    const std::size_t slash = path.find('/');
    base::Fd next(openat(here, std::string(path.substr(0, slash)).c_str(), kFlags));
    if (!next.valid() || slash == std::string_view::npos) return next.release();
    last = std::move(next);
    path.remove_prefix(slash + 1);
  }
}

std::shared_ptr<const OpenFolder> Folders::open(std::string_view view) {
  const std::string path(view);
  std::uint64_t forgotten = 0;
  if (auto known = find(path, forgotten)) return known;
  int fd = -1;
  if (path.empty()) {
    fd = openat(base_, ".", kFlags);
  } else {
    fd = open_beneath(base_, path);
    if (fd < 0 && errno == ENOSYS) fd = open_by_names(view);
  }
  if (fd < 0) return nullptr;
  auto folder = look_at(fd);
  if (folder) keep(path, folder, forgotten);
  return folder;
}

}  // namespace argosy::file
