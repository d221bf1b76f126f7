#include "file/writer.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <utility>

#include "base/activity.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/interrupt.h"
#include "file/digest_file.h"
#include "file/disk.h"
#include "file/temporary.h"

namespace argosy::file {

namespace {

using base::Kind;
using core::Type;

// A file of less is written in one go and, beneath a folder that is moved, without a name.
constexpr std::int64_t kNamelessMost = 1 << 20;
// What is left out of a sparse file when it is all zeros.
constexpr std::size_t kZeroPage = 4096;

base::Error failure(const std::string& shown, const char* what) {
  return base::system_error(Kind::kDestination, shown, errno, what);
}

bool has_mtime(const struct stat& status, const core::Entry& entry) {
  return status.st_mtim.tv_sec == entry.mtime.seconds && status.st_mtim.tv_nsec == entry.mtime.nanoseconds;
}

// The very file that the source is, seen here through the same file system: no two files agree in all of these.
bool is_source_itself(const struct stat& status, const core::Entry& entry) {
  return status.st_ino == entry.inode && has_mtime(status, entry) && status.st_ctim.tv_sec == entry.ctime.seconds &&
         status.st_ctim.tv_nsec == entry.ctime.nanoseconds;
}

bool is_beneath(const core::Entry& entry) { return entry.path.find('/') != std::string::npos; }

std::string leaf(const std::string& path) { return std::string(name_of(path)); }

bool all_zeros(std::span<const std::byte> data) {
  return std::all_of(data.begin(), data.end(), [](std::byte one) { return one == std::byte{0}; });
}

}  // namespace

Writer::Writer(const Folder* folder, Settings settings)
    : folder_(folder), settings_(settings), mask_(file_creation_mask()), user_(geteuid()), group_(getegid()) {
  if (folder_ != nullptr) folders_.emplace(folder_->fd());
}

Writer::~Writer() {
  // The job has failed, or else nothing is left. What has a journal stays for the next run.
  while (!targets_.empty()) {
    if (targets_.begin()->second->journal && !distrusted_) {
      targets_.erase(targets_.begin());
    } else {
      discard(targets_.begin()->first);
    }
  }
}

core::Examination Writer::inspect(const core::Page& page) {
  core::Examination found;
  found.wanted.assign(page.entries.size(), false);
  found.only_asked = settings_.only_ask;
  check_folders(page);
  for (std::size_t i = 0; i < page.entries.size(); ++i) {
    if (!page.entries[i].exists()) continue;
    if (settings_.only_ask) {
      found.wanted[i] = would_change(page.entries[i]);
      continue;
    }
    const core::Entry& told = page.entries[i];
    if (folder_ == nullptr) throw base::Error(Kind::kIntegrity, told.path, 0, "comes although no source could be read");
    try {
      lock_tree(told);
      const core::Entry moved = settings_.publish ? staged(told) : core::Entry{};
      const core::Entry& entry = settings_.publish ? moved : told;
      if (entry.type == Type::kFile) {
        core::Ranges held;
        found.wanted[i] = wants_file(page.first + i, entry, held);
        if (!held.empty()) found.held.push_back({static_cast<std::uint32_t>(i), std::move(held)});
        continue;
      }
      const Done done = make(entry);
      if (entry.type == Type::kHardLink) continue;  // counted when it is made
      ++(entry.type == Type::kFolder ? found.folders : found.links_and_specials);
      if (done == Done::kInPlace) ++found.in_place;
    } catch (const base::Error& error) {
      // The failures of what is in it would say nothing new; they count all the same.
      if (told.type == Type::kFolder) {
        const std::lock_guard lock(mutex_);
        const std::string top = told.path.substr(0, told.path.find('/'));
        failed_folders_.insert(settings_.publish ? tree_name(top) + told.path.substr(top.size()) : told.path);
      }
      found.failed.push_back(static_cast<std::uint32_t>(i));
      found.failures.push_back(error.failure());
    }
    base::note_activity();
  }
  return found;
}

// An honest manifest names each folder before what is in it. One that does not, so that a link takes a folder's place,
// is refused before anything is made of its page.
void Writer::check_folders(const core::Page& page) {
  const auto hash = [](std::string_view path) { return base::checksum_of(std::as_bytes(std::span(path))); };
  for (const core::Entry& entry : page.entries) {
    const std::string_view above = parent_of(entry.path);
    if (!above.empty() && !named_folders_.contains(hash(above)))
      throw base::Error(Kind::kIntegrity, entry.path, 0, "is refused: the manifest names no folder for it");
    if (entry.type == Type::kFolder) named_folders_.insert(hash(entry.path));
  }
}

// The name by which the user knows it, whatever it has now.
std::string Writer::shown(const std::string& path) {
  if (!settings_.publish) return folder_->shown(path);
  const std::lock_guard lock(mutex_);
  const auto found = staged_.find(path.substr(0, path.find('/')));
  if (found == staged_.end()) return folder_->shown(path);
  return folder_->shown(found->second + path.substr(found->first.size()));
}

// The entry under the name that it has until all is there.
core::Entry Writer::staged(const core::Entry& entry) {
  core::Entry moved = entry;
  const auto stage = [](std::string& path) {
    const std::string top = path.substr(0, path.find('/'));
    path = tree_name(top) + path.substr(top.size());
  };
  if (!is_beneath(entry) && entry.type == Type::kFolder) {
    struct stat status = {};
    if (fstatat(folder_->fd(), entry.path.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0) {
      throw base::system_error(Kind::kDestination, folder_->shown(entry.path), EEXIST,
                               "--publish is for a folder that is new");
    }
    const std::string name = tree_name(entry.path);
    const std::lock_guard lock(mutex_);
    staged_.emplace(name, entry.path);
  }
  if (is_beneath(entry) || entry.type == Type::kFolder) stage(moved.path);
  if (entry.type == Type::kHardLink) stage(moved.link);
  return moved;
}

void Writer::publish_trees() {
  for (const auto& [name, path] : staged_) {
    if (renameat2(folder_->fd(), name.c_str(), folder_->fd(), path.c_str(), RENAME_NOREPLACE) != 0) {
      throw failure(folder_->shown(path), "can't be shown");
    }
  }
  staged_.clear();
}

// The folder that is to hold `path`. An honest manifest names each folder before what is in it, and it was made then:
// that it is no folder now is damage, or somebody's trap.
std::shared_ptr<const OpenFolder> Writer::parent(const std::string& path) {
  const std::string folder(parent_of(path));
  const std::string shown = this->shown(path);
  // It may be there all the same, as another run's.
  if (is_in_failed_folder(folder)) throw base::Error(Kind::kDestination, shown, 0, "its folder could not be had");
  auto open = folders_->open(folder);
  if (open) return open;
  const int error_number = errno;
  if (error_number == ENOTDIR || error_number == ELOOP || error_number == EXDEV) {
    throw base::system_error(Kind::kIntegrity, shown, error_number, "refused: what should be its folder is none");
  }
  throw base::system_error(Kind::kDestination, shown, error_number, "its folder can't be opened");
}

bool Writer::is_in_failed_folder(const std::string& folder) {
  const std::lock_guard lock(mutex_);
  if (failed_folders_.empty()) return false;
  for (std::string_view above = folder; !above.empty(); above = parent_of(above)) {
    if (failed_folders_.contains(std::string(above))) return true;
  }
  return false;
}

// One run at a time on a tree. A source that is a single file has a lock of its own when it is written.
void Writer::lock_tree(const core::Entry& entry) {
  if (entry.type != Type::kFolder || is_beneath(entry)) return;
  trees_.try_emplace(entry.path, folder_->fd(), lock_name(entry.path), shown(entry));
}

bool Writer::wants_file(std::uint64_t index, const core::Entry& entry, core::Ranges& held) {
  const std::string above(parent_of(entry.path));
  struct stat status = {};
  const bool fresh = !above.empty() && fresh_folders_.contains(above);
  const auto folder = fresh ? nullptr : parent(entry.path);
  const bool exists = !fresh && fstatat(folder->fd.get(), leaf(entry.path).c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0;
  if (exists && is_in_place(entry, *folder, status)) {
    if (!is_source_itself(status, entry)) renew_metadata(entry, *folder, status);
    if (is_journalled(entry)) tidy(entry, *folder);
    return false;
  }
  auto target = std::make_shared<Target>();
  target->entry = entry;
  target->shown = shown(entry);
  target->replaces = exists;
  target->nameless = is_beneath(entry) && !entry.open_ended && entry.size < kNamelessMost;
  if (folder && !target->nameless && is_journalled(entry)) {
    look_for_journal(*target, *folder, held);
  }
  const std::lock_guard lock(mutex_);
  targets_.emplace(index, std::move(target));
  return true;
}

bool Writer::is_journalled(const core::Entry& entry) const {
  return settings_.journals && !entry.open_ended && entry.size >= kJournalled;
}

// What an earlier run has written of it need not come again. With the lock nobody else writes it meanwhile.
void Writer::look_for_journal(Target& target, const OpenFolder& folder, core::Ranges& held) {
  const std::string name = leaf(target.entry.path);
  if (faccessat(folder.fd.get(), journal_name(name).c_str(), F_OK, AT_SYMLINK_NOFOLLOW) != 0) return;
  target.folder = parent(target.entry.path);
  target.lock.emplace(folder.fd.get(), lock_name(name), target.shown);
  target.recovered = recover(folder.fd.get(), name, target.entry, target.journal_bytes);
  for (const Journal::Record& record : target.recovered) held.add(record.range);
}

// A run that was killed right after it had put the file in place leaves its lock, and perhaps the journal.
void Writer::tidy(const core::Entry& entry, const OpenFolder& folder) {
  const std::string name = leaf(entry.path);
  if (faccessat(folder.fd.get(), lock_name(name).c_str(), F_OK, AT_SYMLINK_NOFOLLOW) != 0) return;
  try {
    const Lock lock(folder.fd.get(), lock_name(name), shown(entry));
    static_cast<void>(unlinkat(folder.fd.get(), temporary_name(name).c_str(), 0));
    static_cast<void>(unlinkat(folder.fd.get(), journal_name(name).c_str(), 0));
  } catch (const base::Error&) {
    // Whoever has the lock tidies up itself, and a leftover does no harm.
  }
}

bool Writer::is_in_place(const core::Entry& entry, const OpenFolder& parent, const struct stat& status) const {
  if (entry.open_ended || !S_ISREG(status.st_mode) || status.st_size != entry.size) return false;
  if (is_source_itself(status, entry)) return true;
  if (!settings_.leave_same || (settings_.files_anew && !settings_.checksum && !is_beneath(entry))) return false;
  if (!settings_.checksum) return has_mtime(status, entry);
  if (!entry.digest) return false;
  const base::Fd fd(openat(parent.fd.get(), leaf(entry.path).c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK));
  return fd.valid() && digest_of_fd(fd.get(), entry.size) == entry.digest;
}

// The data is in place; what else has changed is set without moving it.
void Writer::renew_metadata(const core::Entry& entry, const OpenFolder& parent, const struct stat& status) {
  const bool times = !settings_.metadata.times || has_mtime(status, entry);
  const bool plain = same_owner_and_mode(status, entry, settings_.metadata) && times;
  bool attributes = true;
  if (settings_.metadata.attributes) {
    attributes = read_attributes(parent.fd.get(), leaf(entry.path), shown(entry)) == entry.attributes;
  }
  if (plain && attributes) return;
  // A descriptor for metadata needs no right to read, but futimens and fsetxattr want more than O_PATH gives.
  base::Fd fd(openat(parent.fd.get(), leaf(entry.path).c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK));
  if (!fd.valid()) throw failure(shown(entry), "its metadata can't be set");
  file::set_metadata(fd.get(), status, entry, settings_.metadata, false, shown(entry));
}

void Writer::open(Target& target) {
  target.folder = parent(target.entry.path);
  struct stat status = {};
  if (target.replaces &&
      fstatat(target.folder->fd.get(), leaf(target.entry.path).c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0 &&
      S_ISDIR(status.st_mode)) {
    throw base::system_error(Kind::kDestination, target.shown, EISDIR, "can't be replaced");
  }
  if (target.nameless && open_nameless(target)) return;
  open_beside(target);
}

// False where the file system has no files without a name.
bool Writer::open_nameless(Target& target) {
  if (no_nameless_.load(std::memory_order_relaxed)) return false;
  const mode_t mode = settings_.metadata.mode ? target.entry.mode & 0777U : 0666U;
  target.fd = base::Fd(openat(target.folder->fd.get(), ".", O_RDWR | O_TMPFILE | O_CLOEXEC, mode));
  if (target.fd.valid()) return true;
  if (errno != EOPNOTSUPP && errno != EISDIR && errno != ENOENT && errno != EINVAL) {
    throw failure(target.shown, "can't be written");
  }
  no_nameless_.store(true, std::memory_order_relaxed);
  return false;
}

void Writer::open_beside(Target& target) {
  const int folder = target.folder->fd.get();
  const std::string name = leaf(target.entry.path);
  // The lock of its tree covers a small file.
  if (!target.nameless && !target.lock) target.lock.emplace(folder, lock_name(name), target.shown);
  target.temporary = temporary_name(name);
  if (!target.recovered.empty()) return continue_part(target);
  // The lock is ours, so what stands under this name was left by a run that was killed, or planted.
  if (unlinkat(folder, target.temporary.c_str(), 0) != 0 && errno != ENOENT) {
    throw failure(target.shown, "a leftover can't be removed");
  }
  const int flags = O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
  target.fd = base::Fd(openat(folder, target.temporary.c_str(), flags, 0600));
  if (!target.fd.valid()) throw failure(target.shown, "can't be written");
  target.made = true;
  if (target.nameless) return;
  if (!is_journalled(target.entry)) {
    // Without its part an earlier run's says nothing.
    static_cast<void>(unlinkat(folder, journal_name(name).c_str(), 0));
    return;
  }
  target.journal.emplace(folder, journal_name(name), target.entry, target.fd.get(), settings_.fsync, target.shown);
}

void Writer::continue_part(Target& target) {
  const int folder = target.folder->fd.get();
  target.fd = base::Fd(openat(folder, target.temporary.c_str(), O_RDWR | O_NOFOLLOW | O_CLOEXEC));
  if (!target.fd.valid()) throw failure(target.shown, "what an earlier run has left can't be opened");
  target.made = true;
  target.journal.emplace(folder, journal_name(leaf(target.entry.path)), target.fd.get(), settings_.fsync, target.shown,
                         target.journal_bytes);
}

void Writer::written(std::uint64_t entry, core::Range range, const base::Digest& digest) {
  const std::shared_ptr<Target> file = target(entry);
  if (file->journal) file->journal->add(range, digest);
}

base::Digest Writer::held(std::uint64_t entry, core::Range range) {
  const std::shared_ptr<Target> file = target(entry);
  std::call_once(file->opened, [&] { open(*file); });
  // Whole records are known; of one that only a part is asked for, that is read.
  base::Digest sum;
  std::vector<std::byte> leaf_bytes(static_cast<std::size_t>(base::kLeafSize));
  for (const Journal::Record& record : file->recovered) {
    const std::int64_t begin = std::max(record.range.begin, range.begin);
    const std::int64_t end = std::min(record.range.end, range.end);
    if (begin >= end) continue;
    if (begin == record.range.begin && end == record.range.end) {
      sum += record.digest;
      continue;
    }
    for (std::int64_t at = begin; at < end; at += base::kLeafSize) {
      const auto part = std::span(leaf_bytes).first(static_cast<std::size_t>(std::min(base::kLeafSize, end - at)));
      if (pread(file->fd.get(), part.data(), part.size(), at) != static_cast<ssize_t>(part.size()))
        throw failure(file->shown, "what an earlier run has left can't be read");
      sum += base::digest_of(part, at);
    }
  }
  return sum;
}

std::shared_ptr<Writer::Target> Writer::target(std::uint64_t entry) {
  const std::lock_guard lock(mutex_);
  return targets_.at(entry);
}

void Writer::write(std::uint64_t entry, std::int64_t offset, std::span<const std::byte> data) {
  const std::shared_ptr<Target> file = target(entry);
  std::call_once(file->opened, [&] { open(*file); });
  if (!file->entry.sparse) return write_at(file->fd.get(), offset, data, file->shown);
  // Its holes are smaller than what travels.
  while (!data.empty()) {
    std::size_t length = std::min(kZeroPage, data.size());
    const bool zeros = all_zeros(data.first(length));
    while (length < data.size() &&
           all_zeros(data.subspan(length, std::min(kZeroPage, data.size() - length))) == zeros) {
      length += std::min(kZeroPage, data.size() - length);
    }
    if (zeros) {
      leave_hole(*file, offset, static_cast<std::int64_t>(length));
    } else {
      write_at(file->fd.get(), offset, data.first(length), file->shown);
    }
    offset += static_cast<std::int64_t>(length);
    data = data.subspan(length);
  }
}

void Writer::hole(std::uint64_t entry, std::int64_t offset, std::int64_t length) {
  const std::shared_ptr<Target> file = target(entry);
  std::call_once(file->opened, [&] { open(*file); });
  leave_hole(*file, offset, length);
}

// The file grows to its size when it is committed; but what an earlier run has written in vain may lie here.
void Writer::leave_hole(const Target& target, std::int64_t offset, std::int64_t length) {
  if (target.recovered.empty()) return;
  if (fallocate(target.fd.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, length) == 0) return;
  const std::vector<std::byte> zeros(static_cast<std::size_t>(std::min(length, base::kLeafSize)));
  for (std::int64_t at = offset; at < offset + length; at += base::kLeafSize) {
    const auto part = static_cast<std::size_t>(std::min(base::kLeafSize, offset + length - at));
    write_at(target.fd.get(), at, std::span(zeros).first(part), target.shown);
  }
}

void Writer::commit(std::uint64_t entry, std::int64_t length, const base::Digest& digest) {
  const std::shared_ptr<Target> file = target(entry);
  // An empty file may end before its nothing has been written.
  std::call_once(file->opened, [&] { open(*file); });
  if (file->entry.sparse && ftruncate(file->fd.get(), length) != 0) throw failure(file->shown, "can't be written");
  if (settings_.read_back) read_back(*file, length, digest);
  set_metadata(*file);
  publish(*file);
  const std::lock_guard lock(mutex_);
  targets_.erase(entry);
}

std::optional<base::Digest> Writer::written_digest(std::uint64_t entry, std::int64_t length) {
  const std::shared_ptr<Target> file = target(entry);
  std::call_once(file->opened, [&] { open(*file); });
  return digest_of_fd(file->fd.get(), length);
}

void Writer::read_back(const Target& target, std::int64_t length, const base::Digest& digest) const {
  // What is still only in memory would read back well whatever the device made of it.
  if (fdatasync(target.fd.get()) != 0) throw failure(target.shown, "fdatasync");
  static_cast<void>(posix_fadvise(target.fd.get(), 0, 0, POSIX_FADV_DONTNEED));
  const auto again = digest_of_fd(target.fd.get(), length);
  if (base::interrupted() != 0)
    throw base::Error(Kind::kDestination, target.shown, EINTR, "reading back was interrupted");
  struct stat status = {};
  if (fstat(target.fd.get(), &status) != 0) throw failure(target.shown, "can't be read back");
  if (status.st_size != length || again != digest) {
    throw base::Error(Kind::kIntegrity, target.shown, 0, "what was read back differs from what was written");
  }
}

void Writer::set_metadata(const Target& target) const {
  struct stat status = {};
  // A file that was just made without a name has what it was made with: asking would be a call for each file.
  const bool inherits = target.folder->gives_group || target.folder->gives_acl;
  if (target.temporary.empty() && !inherits && (target.entry.mode & ~0777U) == 0) {
    status.st_uid = user_;
    status.st_gid = group_;
    status.st_mode = (settings_.metadata.mode ? target.entry.mode & 0777U : 0666U) & ~mask_;
  } else if (fstat(target.fd.get(), &status) != 0) {
    throw failure(target.shown, "fstat");
  }
  core::Entry entry = {};
  const core::Entry* what = &target.entry;
  if (!settings_.metadata.mode) {
    // As if the file had been made by any other program.
    entry = target.entry;
    entry.mode = 0666U & ~mask_;
    what = &entry;
  }
  Metadata all = settings_.metadata;
  all.mode = true;
  file::set_metadata(target.fd.get(), status, *what, all, !target.folder->gives_acl, target.shown);
}

void Writer::publish(Target& target) {
  if (settings_.fsync && fsync(target.fd.get()) != 0) throw failure(target.shown, "fsync");
  if (target.temporary.empty()) link_nameless(target);
  // A network file system may report a failed write only here.
  if (const int error_number = target.fd.close(); error_number != 0) {
    throw base::system_error(Kind::kDestination, target.shown, error_number, "closing failed");
  }
  if (target.temporary.empty()) return;
  const int folder = target.folder->fd.get();
  if (renameat(folder, target.temporary.c_str(), folder, leaf(target.entry.path).c_str()) != 0) {
    throw failure(target.shown, "can't be put in place");
  }
  target.made = false;
  // Without its part it says nothing: one that stays is harmless.
  if (target.journal) static_cast<void>(unlinkat(folder, journal_name(leaf(target.entry.path)).c_str(), 0));
}

// Gives the file its name, or where something stands there already a temporary one, to be renamed.
void Writer::link_nameless(Target& target) {
  const int folder = target.folder->fd.get();
  const std::string name = leaf(target.entry.path);
  const auto link_as = [&](const std::string& as) {
    // Root may link a descriptor itself; others by way of /proc (open(2), O_TMPFILE).
    if (linkat(target.fd.get(), "", folder, as.c_str(), AT_EMPTY_PATH) == 0) return true;
    if (errno != ENOENT && errno != EPERM) return false;
    const std::string path = fmt::format("/proc/self/fd/{}", target.fd.get());
    return linkat(AT_FDCWD, path.c_str(), folder, as.c_str(), AT_SYMLINK_FOLLOW) == 0;
  };
  if (!target.replaces) {
    if (link_as(name)) return;
    if (errno != EEXIST) throw failure(target.shown, "can't be put in place");
  }
  target.temporary = temporary_name(name);
  if (unlinkat(folder, target.temporary.c_str(), 0) != 0 && errno != ENOENT) {
    throw failure(target.shown, "a leftover can't be removed");
  }
  if (!link_as(target.temporary)) throw failure(target.shown, "can't be put in place");
  target.made = true;
}

void Writer::discard(std::uint64_t entry) noexcept {
  std::shared_ptr<Target> file;
  {
    const std::lock_guard lock(mutex_);
    const auto found = targets_.find(entry);
    if (found == targets_.end()) return;
    file = std::move(found->second);
    targets_.erase(found);
  }
  if (file->journal && base::interrupted() != 0) {
    // Whether it goes depends on whether all ranks live to agree that the job was interrupted.
    const std::lock_guard lock(mutex_);
    interrupted_.push_back(std::move(file));
    return;
  }
  remove_part(*file);
}

void Writer::remove_interrupted() {
  for (const auto& file : interrupted_) remove_part(*file);
  interrupted_.clear();
}

void Writer::remove_part(Target& target) {
  // Without the lock the name belongs to another run. A leftover that can't be removed is the next run's to replace.
  if (!target.made) return;
  static_cast<void>(unlinkat(target.folder->fd.get(), target.temporary.c_str(), 0));
  if (target.journal)
    static_cast<void>(unlinkat(target.folder->fd.get(), journal_name(leaf(target.entry.path)).c_str(), 0));
}

}  // namespace argosy::file
