// The part of the Writer that makes what has no data: folders, links, special files.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstdio>
#include <iterator>
#include <span>
#include <utility>

#include "base/activity.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/interrupt.h"
#include "file/temporary.h"
#include "file/writer.h"

namespace argosy::file {

namespace {

using base::Kind;
using core::Type;

std::string leaf(const std::string& path) { return std::string(name_of(path)); }

base::Error failure(const std::string& shown, const char* what) {
  return base::system_error(Kind::kDestination, shown, errno, what);
}

mode_t kind_of(Type type) {
  switch (type) {
    case Type::kFolder:
      return S_IFDIR;
    case Type::kSymlink:
      return S_IFLNK;
    case Type::kFifo:
      return S_IFIFO;
    case Type::kSocket:
      return S_IFSOCK;
    case Type::kCharDevice:
      return S_IFCHR;
    case Type::kBlockDevice:
      return S_IFBLK;
    default:
      return S_IFREG;
  }
}

bool leads_to(int folder, const std::string& name, const std::string& target) {
  std::array<char, PATH_MAX + 1> there{};
  const ssize_t size = readlinkat(folder, name.c_str(), there.data(), there.size());
  return size >= 0 && target == std::string_view(there.data(), static_cast<std::size_t>(size));
}

// Gives `name` a mode where it is what it is taken for: whoever owns the folder may have put a symbolic link in its
// place meanwhile. False with errno.
bool set_mode_at(int folder, const std::string& name, mode_t kind, mode_t mode) {
  const base::Fd itself(openat(folder, name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
  struct stat status = {};
  if (!itself.valid() || fstat(itself.get(), &status) != 0) return false;
  if ((status.st_mode & S_IFMT) != kind) {
    errno = ELOOP;
    return false;
  }
  // Such a descriptor has no mode to be set by itself.
  return chmod(fmt::format("/proc/self/fd/{}", itself.get()).c_str(), mode) == 0;
}

bool same_time(const struct stat& status, const core::Entry& entry) { return timestamp(status.st_mtim) == entry.mtime; }

// The same kind of thing that leads to the same place.
bool is_same_thing(int folder, const std::string& name, const struct stat& status, const core::Entry& entry) {
  if ((status.st_mode & S_IFMT) != kind_of(entry.type)) return false;
  if (entry.type == Type::kSymlink) return leads_to(folder, name, entry.link);
  if (entry.type == Type::kCharDevice || entry.type == Type::kBlockDevice) return status.st_rdev == entry.device;
  return true;
}

}  // namespace

Writer::Done Writer::make(std::uint64_t index, const core::Entry& entry) {
  if (entry.type == Type::kFolder) return make_folder(index, entry);
  if (entry.type != Type::kHardLink) return make_other(entry);
  links_.add({entry.path, entry.link});
  return Done::kMade;
}

// Made open for its owner: it has to be filled, whatever its mode will be.
Writer::Done Writer::make_folder(std::uint64_t index, const core::Entry& entry) {
  const auto above = parent(entry.path);
  const std::string name = leaf(entry.path);
  const bool made = mkdirat(above->fd.get(), name.c_str(), 0700) == 0;
  if (!made && errno != EEXIST) throw failure(shown(entry), "can't be made");
  if (made) {
    marks_.set(entry.path, FolderMarks::kFresh);
  } else if (marks_.has(entry.path, FolderMarks::kFresh)) {
    marks_.set(entry.path, FolderMarks::kShared);
  }
  struct stat status = {};
  status.st_mode = 0777U & ~mask_;
  if (!made) {
    if (fstatat(above->fd.get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0)
      throw failure(shown(entry), "can't be looked at");
    if (!S_ISDIR(status.st_mode)) {
      throw base::system_error(Kind::kDestination, shown(entry), ENOTDIR, "can't be replaced by a folder");
    }
    const mode_t open = status.st_mode | S_IRWXU;
    if (open != status.st_mode && geteuid() != 0 && !set_mode_at(above->fd.get(), name, S_IFDIR, open & 07777U) &&
        errno != EROFS) {
      throw failure(shown(entry), "can't be opened for writing");
    }
  }
  if (parent_of(entry.path).empty()) note_top(entry, *above);
  FolderRecord record{index, entry, made};
  const bool is_fresh = marks_.has(entry.path, FolderMarks::kFresh);
  if (!settings_.metadata.mode) record.entry.mode = is_fresh ? 0777U & ~mask_ : status.st_mode & 07777U;
  folder_records_.add(std::move(record));
  return made ? Done::kMade : Done::kInPlace;
}

void Writer::lock_top(bool opens) {
  struct stat status = {};
  if (fstat(folder_->fd(), &status) != 0) throw failure(folder_->path(), "can't be looked at");
  top_mode_ = status.st_mode & 07777U;
  if (opens && geteuid() != 0 && (status.st_mode & S_IRWXU) != S_IRWXU &&
      fchmod(folder_->fd(), (status.st_mode | S_IRWXU) & 07777U) != 0) {
    throw failure(folder_->path(), "can't be opened for writing");
  }
  trees_.try_emplace("", folder_->fd(), lock_name("."), folder_->path());
  lock_folder(folder_->fd(), ".", folder_->path());
}

void Writer::set_top(std::uint64_t index, const core::Entry& entry) {
  FolderRecord record{index, entry, false};
  record.entry.path.clear();
  if (!settings_.metadata.mode) record.entry.mode = top_mode_;
  folder_records_.add(std::move(record));
}

bool Writer::other_is_in_place(const core::Entry& entry, const OpenFolder& parent, const struct stat& status) {
  const Metadata& what = settings_.metadata;
  const std::string name = leaf(entry.path);
  if (!is_same_thing(parent.fd.get(), name, status, entry) || (what.times && !same_time(status, entry))) return false;
  if (!same_owner(status, entry, what)) return false;
  if (entry.type != Type::kSymlink && !same_mode(status, entry, what)) return false;
  if (!what.attributes || !may_have_attributes(entry.type)) return true;
  try {
    return same_attributes(read_attributes(parent.fd.get(), name, shown(entry)), entry.attributes);
  } catch (const base::Error&) {
    return false;  // it is made anew, and whoever sets them says why they can't be had
  }
}

Writer::Done Writer::make_other(const core::Entry& entry) {
  const auto above = parent(entry.path);
  const int folder = above->fd.get();
  const std::string name = leaf(entry.path);
  const Metadata& what = settings_.metadata;
  struct stat status = {};
  const bool exists = fstatat(folder, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0;
  if (exists && S_ISDIR(status.st_mode))
    throw base::system_error(Kind::kDestination, shown(entry), EISDIR, "can't be replaced");
  if (exists && other_is_in_place(entry, *above, status)) {
    put_in_manifest(entry, *above, std::nullopt);
    return Done::kInPlace;
  }
  const std::string temporary = replacement_name(name);
  if (unlinkat(folder, temporary.c_str(), 0) != 0 && errno != ENOENT)
    throw failure(shown(entry), "a leftover can't be removed");
  if (entry.type == Type::kSymlink) {
    if (symlinkat(entry.link.c_str(), folder, temporary.c_str()) != 0) throw failure(shown(entry), "can't be made");
  } else if (mknodat(folder, temporary.c_str(), kind_of(entry.type) | 0600U, entry.device) != 0) {
    if (errno == EPERM) {
      throw base::system_error(Kind::kDestination, shown(entry), EPERM, "is left out: only root can make it");
    }
    throw failure(shown(entry), "can't be made");
  }
  try {
    if (fstatat(folder, temporary.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) throw failure(shown(entry), "fstatat");
    uid_t uid = status.st_uid;
    gid_t gid = status.st_gid;
    const auto give = [&](uid_t user) {
      if (fchownat(folder, temporary.c_str(), user, entry.gid, AT_SYMLINK_NOFOLLOW) != 0) return false;
      if (user == entry.uid) uid = user;
      gid = entry.gid;
      return true;
    };
    if (what.owner && (uid != entry.uid || gid != entry.gid) && !give(entry.uid)) {
      if (errno != EPERM && errno != EINVAL) throw failure(shown(entry), "the owner can't be set");
      // Whoever is not root may at least hand it to a group of theirs.
      static_cast<void>(give(static_cast<uid_t>(-1)));
    }
    const bool inherits = above->gives_acl && entry.type != Type::kSymlink;
    if (what.attributes && (inherits || !entry.attributes.empty()))
      lacks(set_attributes_at(folder, temporary, entry.attributes, shown(entry)));
    const mode_t mode = what.mode ? mode_for(entry, uid, gid) : 0666U & ~mask_;
    if (entry.type != Type::kSymlink && !set_mode_at(folder, temporary, kind_of(entry.type), mode))
      throw failure(shown(entry), "the mode can't be set");
    const timespec times[2] = {{0, UTIME_OMIT}, to_timespec(entry.mtime)};
    if (what.times && utimensat(folder, temporary.c_str(), times, AT_SYMLINK_NOFOLLOW) != 0)
      throw failure(shown(entry), "the time can't be set");
    if (renameat(folder, temporary.c_str(), folder, name.c_str()) != 0)
      throw failure(shown(entry), "can't be put in place");
  } catch (const base::Error&) {
    static_cast<void>(unlinkat(folder, temporary.c_str(), 0));
    throw;
  }
  put_in_manifest(entry, *above, std::nullopt);
  return Done::kMade;
}

// For a run that makes nothing. Whatever can't be looked at would be made. Throws base::Error where it could not be.
bool Writer::would_change(const core::Entry& entry) {
  if (!folders_) return true;
  const auto above = folders_->open(parent_of(entry.path));
  if (!above) return true;
  const std::string name = leaf(entry.path);
  struct stat status = {};
  if (fstatat(above->fd.get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) return true;
  const bool is_folder = S_ISDIR(status.st_mode);
  if (entry.type == Type::kFolder) {
    if (!is_folder)
      throw base::system_error(Kind::kDestination, shown(entry), ENOTDIR, "can't be replaced by a folder");
    return !has_metadata(entry, *above, status);
  }
  if (is_folder) throw base::system_error(Kind::kDestination, shown(entry), EISDIR, "can't be replaced");
  if (entry.type == Type::kFile) return !is_in_place(entry, *above, status) || !has_metadata(entry, *above, status);
  if (entry.type == Type::kHardLink) return !link_is_there({entry.path, entry.link});
  return !other_is_in_place(entry, *above, status);
}

bool Writer::link_is_there(const LinkRecord& link) {
  const auto from = folders_->open(parent_of(link.first));
  const auto to = folders_->open(parent_of(link.path));
  struct stat first = {};
  struct stat second = {};
  return from && to && fstatat(from->fd.get(), leaf(link.first).c_str(), &first, AT_SYMLINK_NOFOLLOW) == 0 &&
         fstatat(to->fd.get(), leaf(link.path).c_str(), &second, AT_SYMLINK_NOFOLLOW) == 0 &&
         first.st_ino == second.st_ino && first.st_dev == second.st_dev;
}

void Writer::note_failed(std::string_view path) {
  const std::lock_guard lock(mutex_);
  failed_files_.insert(hash_of(path));
}

void Writer::make_link(const LinkRecord& link) {
  const std::string shown = this->shown(link.path);
  {
    const std::lock_guard lock(mutex_);
    // An older file may stand under that name: this one would become it, and may be right as it is.
    if (failed_files_.contains(hash_of(link.first)))
      throw base::Error(Kind::kDestination, shown, 0, "is left as it is: its other name could not be had");
  }
  if (link_is_there(link)) return;
  const auto from = parent(link.first);
  const auto to = parent(link.path);
  const std::string name = leaf(link.path);
  // In a tree its lock covers it.
  std::optional<Lock> lock;
  if (!settings_.whole && link.path.find('/') == std::string::npos) lock.emplace(to->fd.get(), lock_name(name), shown);
  struct stat status = {};
  if (fstatat(to->fd.get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(status.st_mode))
    throw base::system_error(Kind::kDestination, shown, EISDIR, "can't be replaced");
  const std::string temporary = replacement_name(name);
  if (unlinkat(to->fd.get(), temporary.c_str(), 0) != 0 && errno != ENOENT)
    throw failure(shown, "a leftover can't be removed");
  if (linkat(from->fd.get(), leaf(link.first).c_str(), to->fd.get(), temporary.c_str(), 0) != 0)
    throw failure(shown, "can't be linked to its other name");
  if (renameat(to->fd.get(), temporary.c_str(), to->fd.get(), name.c_str()) == 0) return;
  const int error_number = errno;
  static_cast<void>(unlinkat(to->fd.get(), temporary.c_str(), 0));
  throw base::system_error(Kind::kDestination, shown, error_number, "can't be put in place");
}

void Writer::finish_folder(const FolderRecord& record) {
  const auto folder = folders_->open(record.entry.path);
  const std::string shown = this->shown(record.entry.path);
  if (!folder) throw failure(shown, "its metadata can't be set");
  struct stat status = {};
  if (fstat(folder->fd.get(), &status) != 0) throw failure(shown, "fstat");
  Metadata what = settings_.metadata;
  // Of several givers' the lowest rank's come last, and nothing of the others' stays.
  const bool is_new = record.made && !folder->gives_acl && !marks_.has(record.entry.path, FolderMarks::kShared);
  // Made closed to others, or opened to be filled: then it gets the mode that it had, or that any new folder has.
  if (!what.mode) what.mode = (status.st_mode & 07777U) != record.entry.mode;
  lacks(file::set_metadata(folder->fd.get(), status, record.entry, what, is_new, shown));
  if (settings_.fsync) unsynced_folders_.try_emplace(folder->device, folder);
}

void Writer::note_top(const core::Entry& entry, const OpenFolder& above) {
  struct stat status = {};
  if (fstatat(above.fd.get(), leaf(entry.path).c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0)
    throw failure(shown(entry), "can't be looked at");
  tops_.push_back({entry.path, status.st_dev, status.st_ino});
  if (!settings_.whole) lock_folder(above.fd.get(), leaf(entry.path), shown(entry));
}

// Somebody may have moved them away, and put others in their place, while they were filled.
void Writer::check_tops(Finished& finished) {
  if (folder_ == nullptr || settings_.only_ask) return;
  try {
    folder_->check_path();
  } catch (const base::Error& error) {
    finished.failures.add(error.failure());
  }
  for (const Top& top : tops_) {
    struct stat status = {};
    const bool there = fstatat(folder_->fd(), top.path.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0;
    if (there && status.st_dev == top.device && status.st_ino == top.inode) continue;
    finished.failures.add({Kind::kDestination, shown(top.path), -1, {}, 0, kSwapped});
  }
}

Writer::Finished Writer::finish() {
  if (stage_) settle(*std::exchange(stage_, nullptr));
  forget_left_stage();
  sync_and_publish(std::exchange(unsynced_, {}));
  Finished finished = std::exchange(finished_, Finished());
  links_.take([&](const LinkRecord& link) {
    try {
      make_link(link);
      ++finished.hard_links;
      put_link_in_manifest(link);
    } catch (const base::Error& error) {
      finished.failures.add(error.failure());
    }
    base::note_activity();
  });
  // What is in a folder comes behind it in a manifest: the other way round, each is left alone once it has its time.
  std::vector<core::Entry> folders;  // for a manifest
  folder_records_.take_backwards([&](const FolderRecord& record) {
    try {
      // The lock lies in the folder that is to get its time.
      if (record.entry.path.empty()) trees_.clear();
      if (settings_.manifest) folders.push_back(record.entry);
      finish_folder(record);
    } catch (const base::Error& error) {
      finished.failures.add(error.failure());
    }
    base::note_activity();
  });
  put_folders_in_manifest(folders);
  check_tops(finished);
  sync_folders(finished);
  const std::lock_guard lock(mutex_);
  for (auto& [path, refused] : refused_) {
    if (refused.below > 0) {
      const char* what = refused.below == 1 ? "entry" : "entries";
      refused.failure.message += fmt::format(" (with {} {} in it)", refused.below, what);
    }
    finished.failures.add(std::move(refused.failure));
  }
  refused_.clear();
  finished.failures.add(finished_.failures);
  finished_ = Finished();
  return finished;
}

}  // namespace argosy::file
