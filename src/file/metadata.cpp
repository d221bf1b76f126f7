#include "file/metadata.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <string_view>

#include "base/error.h"

namespace argosy::file {

namespace {

using base::Kind;

// Which attributes belong to a file and not to this system: SELinux's labels, for one, are the destination's own.
bool is_moved(std::string_view name) {
  if (name.starts_with("user.") || name == "system.posix_acl_access" || name == "system.posix_acl_default") return true;
  return geteuid() == 0 && (name.starts_with("trusted.") || name == "security.capability");
}

// A name for what `name` in `folder` is that system calls without a folder take.
std::string path_through(int folder, const std::string& name) {
  if (folder == AT_FDCWD) return name;
  return name.empty() ? fmt::format("/proc/self/fd/{}", folder) : fmt::format("/proc/self/fd/{}/{}", folder, name);
}

// True when this thread now stands in `folder`. No call lists attributes by folder and name, and the way through /proc
// takes three times as long; a thread that shares its working folder with no other can simply go there.
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

}  // namespace

core::Timestamp timestamp(const timespec& time) { return {time.tv_sec, static_cast<std::int32_t>(time.tv_nsec)}; }

timespec to_timespec(const core::Timestamp& time) { return {time.seconds, time.nanoseconds}; }

std::vector<core::Attribute> read_attributes(int folder, const std::string& name, const std::string& shown) {
  if (!name.empty() && go_to(folder)) return read_all({folder, name}, Kind::kSource, shown);
  return read_all({folder, name.empty() ? std::string() : path_through(folder, name)}, Kind::kSource, shown);
}

void set_attributes(int fd, const std::vector<core::Attribute>& attributes, const std::string& shown) {
  const std::vector<core::Attribute> there = read_all({fd, {}}, Kind::kDestination, shown);
  for (const core::Attribute& old : there) {
    const bool stays = std::any_of(attributes.begin(), attributes.end(),
                                   [&](const core::Attribute& one) { return one.name == old.name; });
    if (!stays && fremovexattr(fd, old.name.c_str()) != 0 && errno != ENODATA) {
      throw base::system_error(Kind::kDestination, shown, errno,
                               "the extended attribute " + old.name + " can't be removed");
    }
  }
  for (const core::Attribute& attribute : attributes) {
    if (!is_moved(attribute.name)) continue;  // root's, and this process is not root
    if (std::find(there.begin(), there.end(), attribute) != there.end()) continue;
    if (fsetxattr(fd, attribute.name.c_str(), attribute.value.data(), attribute.value.size(), 0) != 0) {
      throw base::system_error(
          Kind::kDestination, shown, errno,
          "the extended attribute " + attribute.name + " can't be set (--no-xattrs leaves them out)");
    }
  }
}

void set_attributes_at(int folder, const std::string& name, const std::vector<core::Attribute>& attributes,
                       const std::string& shown) {
  const std::string path = path_through(folder, name);
  for (const core::Attribute& attribute : attributes) {
    if (!is_moved(attribute.name)) continue;
    if (lsetxattr(path.c_str(), attribute.name.c_str(), attribute.value.data(), attribute.value.size(), 0) != 0) {
      throw base::system_error(
          Kind::kDestination, shown, errno,
          "the extended attribute " + attribute.name + " can't be set (--no-xattrs leaves them out)");
    }
  }
}

mode_t mode_for(const core::Entry& entry, uid_t uid, gid_t gid) {
  const bool same_owner = uid == entry.uid && gid == entry.gid;
  return entry.mode & (same_owner ? 07777U : 01777U);
}

void set_metadata(int fd, const struct stat& status, const core::Entry& entry, const Metadata& what, bool fresh,
                  const std::string& shown) {
  uid_t uid = status.st_uid;
  gid_t gid = status.st_gid;
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
  if (what.attributes && !(fresh && entry.attributes.empty())) set_attributes(fd, entry.attributes, shown);
  const mode_t mode = mode_for(entry, uid, gid);
  // Changing the owner takes set-id bits away.
  if (what.mode && ((status.st_mode & 07777U) != mode || chowned || !entry.attributes.empty()) &&
      fchmod(fd, mode) != 0) {
    throw base::system_error(Kind::kDestination, shown, errno, "the mode can't be set");
  }
  if (!what.times) return;
  const timespec times[2] = {{0, UTIME_OMIT}, to_timespec(entry.mtime)};
  if (futimens(fd, times) != 0) {
    throw base::system_error(Kind::kDestination, shown, errno, "the time can't be set");
  }
}

bool same_owner_and_mode(const struct stat& status, const core::Entry& entry, const Metadata& what) {
  const bool root = geteuid() == 0;
  const bool owner = !what.owner || !root || (status.st_uid == entry.uid && status.st_gid == entry.gid);
  const mode_t mode = mode_for(entry, status.st_uid, status.st_gid);
  return owner && (!what.mode || (status.st_mode & 07777U) == mode);
}

mode_t file_creation_mask() {
  const mode_t mask = umask(0);
  umask(mask);
  return mask;
}

}  // namespace argosy::file
