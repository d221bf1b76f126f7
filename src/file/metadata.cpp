#include "file/metadata.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <iterator>
#include <string_view>

#include "base/error.h"

namespace argosy::file {

namespace {

using base::Kind;

// Of those that are moved, those that this process may read and set.
bool is_moved(std::string_view name) {
  const bool only_root = name.starts_with("trusted.") || name.starts_with("security.");
  return core::is_moved_attribute(name) && (!only_root || geteuid() == 0);
}

// A name for what `name` in `folder` is that system calls without a folder take.
std::string path_through(int folder, const std::string& name) {
  if (folder == AT_FDCWD) return name;
  return name.empty() ? fmt::format("/proc/self/fd/{}", folder) : fmt::format("/proc/self/fd/{}/{}", folder, name);
}

// True when it has none at all, as by far the most files, and the kernel can be asked by folder and name.
bool has_no_attributes(int folder, const std::string& name) {
  // listxattrat, which the C library has no name for; of Linux 6.13. Asked once where it is missing or forbidden.
  constexpr long kListxattrat = 465;
  static std::atomic<bool> missing{false};
  if (folder == AT_FDCWD || missing.load(std::memory_order_relaxed)) return false;
  const long size = syscall(kListxattrat, folder, name.c_str(), AT_SYMLINK_NOFOLLOW, nullptr, 0UL);
  if (size < 0 && (errno == ENOSYS || errno == EPERM || errno == EINVAL))
    missing.store(true, std::memory_order_relaxed);
  return size == 0;
}

// True when this thread now stands in `folder`. Older kernels have no call that lists attributes by folder and name,
// and the way through /proc takes three times as long; a thread that shares its working folder with no other can simply
// go there.
bool go_to(int folder) {
  if (folder == AT_FDCWD) return false;
  // Never the main thread, whose working folder others look at.
  thread_local const bool kOwnFolder = gettid() != getpid() && unshare(CLONE_FS) == 0;
  return kOwnFolder && fchdir(folder) == 0;
}

// What one file's attributes are read through.
struct Place {
  int fd;
  std::string path;  // empty: by fd
  ssize_t list(char* into, std::size_t size) const {
    return path.empty() ? flistxattr(fd, into, size) : llistxattr(path.c_str(), into, size);
  }
  ssize_t get(const char* name, char* into, std::size_t size) const {
    return path.empty() ? fgetxattr(fd, name, into, size) : lgetxattr(path.c_str(), name, into, size);
  }
  bool set(const core::Attribute& one) const {
    const char* name = one.name.c_str();
    return (path.empty() ? fsetxattr(fd, name, one.value.data(), one.value.size(), 0)
                         : lsetxattr(path.c_str(), name, one.value.data(), one.value.size(), 0)) == 0;
  }
  bool remove(const char* name) const {
    return (path.empty() ? fremovexattr(fd, name) : lremovexattr(path.c_str(), name)) == 0;
  }
};

// The names, each of those that are moved; empty where the file system has none.
std::vector<std::string> list_names(const Place& place, Kind kind, const std::string& shown) {
  std::array<char, 1024> few{};
  std::string many;
  const char* text = few.data();
  ssize_t size = place.list(few.data(), few.size());
  while (size < 0 && errno == ERANGE) {
    // What is added between the two calls makes the second one fail, too.
    const ssize_t needed = place.list(nullptr, 0);
    if (needed < 0) break;
    many.resize(static_cast<std::size_t>(needed) + 256);
    size = place.list(many.data(), many.size());
    text = many.data();
  }
  if (size < 0) {
    if (errno == ENOTSUP || errno == ENOSYS) return {};
    throw base::system_error(kind, shown, errno, "its extended attributes can't be listed");
  }
  std::vector<std::string> names;
  std::string_view rest(text, static_cast<std::size_t>(size));
  while (!rest.empty()) {
    const std::string_view name = rest.substr(0, rest.find('\0'));
    if (is_moved(name)) names.emplace_back(name);
    rest.remove_prefix(std::min(rest.size(), name.size() + 1));
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::vector<core::Attribute> read_all(const Place& place, Kind kind, const std::string& shown) {
  std::vector<core::Attribute> attributes;
  std::size_t bytes = 0;
  for (std::string& name : list_names(place, kind, shown)) {
    core::Attribute attribute;
    attribute.value.resize(256);
    ssize_t size = place.get(name.c_str(), attribute.value.data(), attribute.value.size());
    while (size < 0 && errno == ERANGE) {
      const ssize_t needed = place.get(name.c_str(), nullptr, 0);
      if (needed < 0) break;
      attribute.value.resize(static_cast<std::size_t>(needed) + 64);
      size = place.get(name.c_str(), attribute.value.data(), attribute.value.size());
    }
    if (size < 0) {
      if (errno == ENODATA || errno == ENOTSUP) continue;  // taken away meanwhile
      throw base::system_error(kind, shown, errno, "its extended attribute " + name + " can't be read");
    }
    attribute.value.resize(static_cast<std::size_t>(size));
    attribute.name = std::move(name);
    bytes += attribute.name.size() + attribute.value.size();
    if (bytes > core::kAttributeBytes) {
      throw base::Error(kind, shown, E2BIG,
                        fmt::format("its extended attributes take more than {} KiB (--no-xattrs leaves them out)",
                                    core::kAttributeBytes / 1024));
    }
    attributes.push_back(std::move(attribute));
  }
  return attributes;
}

// What became of attributes: as many as can be are set.
struct Attributed {
  bool changed = false;
  std::optional<base::Failure> incomplete;  // why the first that can't be set can't
};

Attributed set_all(const Place& place, const std::vector<core::Attribute>& attributes, const std::string& shown) {
  Attributed result;
  const auto note = [&](bool done, const std::string& name, const char* what) {
    if (done) {
      result.changed = true;
      return;
    }
    if (result.incomplete) return;
    const std::string text = fmt::format("the extended attribute {} can't be {}", name, what);
    result.incomplete = base::system_error(Kind::kDestination, shown, errno, text).failure();
  };
  try {
    const std::vector<core::Attribute> there = read_all(place, Kind::kDestination, shown);
    for (const core::Attribute& old : there) {
      const bool stays = std::any_of(attributes.begin(), attributes.end(),
                                     [&](const core::Attribute& one) { return one.name == old.name; });
      if (!stays) note(place.remove(old.name.c_str()) || errno == ENODATA, old.name, "removed");
    }
    for (const core::Attribute& one : attributes) {
      if (!is_moved(one.name)) continue;  // root's, and this process is not root
      const bool is_there = std::find(there.begin(), there.end(), one) != there.end();
      if (!is_there) note(place.set(one), one.name, "set (--no-xattrs leaves them out)");
    }
  } catch (const base::Error& error) {
    result.incomplete = error.failure();
  }
  return result;
}

// A group that this process may give its files to.
bool is_own_group(gid_t group) {
  static const std::vector<gid_t> kGroups = [] {
    std::vector<gid_t> groups(static_cast<std::size_t>(std::max(getgroups(0, nullptr), 0)));
    const int count = getgroups(static_cast<int>(groups.size()), groups.data());
    groups.resize(static_cast<std::size_t>(std::max(count, 0)));
    groups.push_back(getegid());
    return groups;
  }();
  return std::find(kGroups.begin(), kGroups.end(), group) != kGroups.end();
}

}  // namespace

core::Timestamp timestamp(const timespec& time) { return {time.tv_sec, static_cast<std::int32_t>(time.tv_nsec)}; }

timespec to_timespec(const core::Timestamp& time) { return {time.seconds, time.nanoseconds}; }

std::vector<core::Attribute> read_attributes(int folder, const std::string& name, const std::string& shown) {
  if (!name.empty() && has_no_attributes(folder, name)) return {};
  if (!name.empty() && go_to(folder)) return read_all({folder, name}, Kind::kSource, shown);
  return read_all({folder, name.empty() ? std::string() : path_through(folder, name)}, Kind::kSource, shown);
}

std::optional<base::Failure> set_attributes_at(int folder, const std::string& name,
                                               const std::vector<core::Attribute>& attributes,
                                               const std::string& shown) {
  return set_all({folder, path_through(folder, name)}, attributes, shown).incomplete;
}

bool may_have_attributes(core::Type type) { return type != core::Type::kSymlink || geteuid() == 0; }

bool same_attributes(const std::vector<core::Attribute>& there, const std::vector<core::Attribute>& told) {
  std::vector<core::Attribute> wanted;
  std::copy_if(told.begin(), told.end(), std::back_inserter(wanted),
               [](const core::Attribute& one) { return is_moved(one.name); });
  return there == wanted;
}

mode_t mode_for(const core::Entry& entry, uid_t uid, gid_t gid) {
  const bool same_owner = uid == entry.uid && gid == entry.gid;
  return entry.mode & (same_owner ? 07777U : 01777U);
}

std::optional<base::Failure> set_metadata(int fd, const struct stat& status, const core::Entry& entry,
                                          const Metadata& what, bool fresh, const std::string& shown) {
  uid_t uid = status.st_uid;
  gid_t gid = status.st_gid;
  const mode_t now = status.st_mode & 07777U;
  bool chowned = false;
  if (what.owner && (uid != entry.uid || gid != entry.gid)) {
    // Only root gives files away, others may at least hand them to a group of theirs.
    if (fchown(fd, entry.uid, entry.gid) == 0) {
      uid = entry.uid;
      gid = entry.gid;
      chowned = true;
    } else if (errno != EPERM && errno != EINVAL) {
      throw base::system_error(Kind::kDestination, shown, errno, "the owner can't be set");
    } else if (gid != entry.gid && fchown(fd, static_cast<uid_t>(-1), entry.gid) == 0) {
      gid = entry.gid;
      chowned = true;
    }
  }
  Attributed attributes;
  bool opened = false;
  if (what.attributes && !(fresh && entry.attributes.empty())) {
    // Whoever is not root may read and set them only while the mode lets its owner read and write.
    constexpr mode_t kOpen = S_IRUSR | S_IWUSR;
    opened = geteuid() != 0 && (now & kOpen) != kOpen && fchmod(fd, (now & 0777U) | kOpen) == 0;
    attributes = set_all({fd, {}}, entry.attributes, shown);
  }
  const mode_t mode = what.mode ? mode_for(entry, uid, gid) : now;
  // Changing the owner takes set-id bits away, an ACL says what the group may.
  const bool differs = what.mode && (now != mode || chowned || attributes.changed);
  if ((differs || opened) && fchmod(fd, mode) != 0) {
    throw base::system_error(Kind::kDestination, shown, errno, "the mode can't be set");
  }
  if (!what.times || timestamp(status.st_mtim) == entry.mtime) return attributes.incomplete;
  const timespec times[2] = {{0, UTIME_OMIT}, to_timespec(entry.mtime)};
  if (futimens(fd, times) != 0) {
    throw base::system_error(Kind::kDestination, shown, errno, "the time can't be set");
  }
  return attributes.incomplete;
}

bool same_owner(const struct stat& status, const core::Entry& entry, const Metadata& what) {
  if (!what.owner) return true;
  if (geteuid() == 0) return status.st_uid == entry.uid && status.st_gid == entry.gid;
  return status.st_gid == entry.gid || status.st_uid != geteuid() || !is_own_group(entry.gid);
}

bool same_mode(const struct stat& status, const core::Entry& entry, const Metadata& what) {
  return !what.mode || (status.st_mode & 07777U) == mode_for(entry, status.st_uid, status.st_gid);
}

mode_t file_creation_mask() {
  const mode_t mask = umask(0);
  umask(mask);
  return mask;
}

}  // namespace argosy::file
