// The part of the Writer that writes a file where nobody sees it, and makes it visible.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <utility>

#include "base/bytes.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/interrupt.h"
#include "file/digest_file.h"
#include "file/disk.h"
#include "file/temporary.h"
#include "file/writer.h"

namespace argosy::file {

namespace {

using base::Kind;

// What is left out of a sparse file when it is all zeros.
constexpr std::size_t kZeroPage = 4096;

base::Error failure(const std::string& shown, const char* what) {
  return base::system_error(Kind::kDestination, shown, errno, what);
}

std::string leaf(const std::string& path) { return std::string(name_of(path)); }

}  // namespace

void Writer::open_once(Target& target) {
  std::call_once(target.opened, [&] { open(target); });
}

void Writer::open(Target& target) {
  if (target.stage && open_staged(target)) return;
  // What the folder is called is another one's name as long as there is a stage. One that holds the lock already stays.
  if (!target.folder || target.stage) target.folder = target.stage ? target.stage->folder() : parent(target.entry.path);
  struct stat status = {};
  if (target.replaces &&
      fstatat(target.folder->fd.get(), leaf(target.entry.path).c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0 &&
      S_ISDIR(status.st_mode)) {
    throw base::system_error(Kind::kDestination, target.shown, EISDIR, "can't be replaced");
  }
  if (target.nameless && open_nameless(target)) return;
  open_beside(target);
}

// In a folder that nobody looks into a file may have its name from the start. False where the file system takes two
// names of the source for one.
bool Writer::open_staged(Target& target) {
  target.folder = target.stage->folder();
  std::string name = leaf(target.entry.path);
  const int flags = O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
  target.fd = base::Fd(openat(target.folder->fd.get(), name.c_str(), flags, first_mode(target.entry)));
  if (!target.fd.valid() && errno == EEXIST) return false;
  if (!target.fd.valid()) throw failure(target.shown, "can't be written");
  target.temporary = std::move(name);
  target.made = true;
  return true;
}

bool Writer::is_staged(const Target& target) { return target.stage && target.temporary == name_of(target.entry.path); }

mode_t Writer::first_mode(const core::Entry& entry) const {
  return settings_.metadata.mode ? entry.mode & 0777U : 0666U;
}

// False where the file system has no files without a name.
bool Writer::open_nameless(Target& target) {
  if (no_nameless_.load(std::memory_order_relaxed)) return false;
  const mode_t mode = first_mode(target.entry);
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
  if (!target.nameless && !target.lock) target.lock = std::make_unique<Lock>(folder, lock_name(name), target.shown);
  target.temporary = target.nameless ? replacement_name(name) : temporary_name(name);
  if (!target.recovered.parts.empty()) return continue_part(target);
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
  target.journal = std::make_unique<Journal>(folder, journal_name(name), Journal::key_of(target.entry), target.fd.get(),
                                             settings_.fsync, target.shown);
}

void Writer::continue_part(Target& target) {
  target.fd = std::move(target.recovered.part);
  target.made = true;
  // What lies behind its end is nobody's.
  if (ftruncate(target.fd.get(), target.entry.size) != 0) throw failure(target.shown, "can't be written");
  target.journal = std::make_unique<Journal>(target.recovered, target.fd.get(), settings_.fsync, target.shown);
}

void Writer::written(std::uint64_t entry, core::Range range, const base::Digest& digest) {
  const std::shared_ptr<Target> file = target(entry);
  if (file->journal) file->journal->add(range, digest);
}

base::Digest Writer::held(std::uint64_t entry, core::Range range) {
  const std::shared_ptr<Target> file = target(entry);
  open_once(*file);
  // Whole parts are known; of one that only some is asked for, that is read.
  base::Digest sum;
  std::vector<std::byte> leaf_bytes(static_cast<std::size_t>(base::kLeafSize));
  for (const core::Part& held : file->recovered.parts) {
    const std::int64_t begin = std::max(held.range.begin, range.begin);
    const std::int64_t end = std::min(held.range.end, range.end);
    if (begin >= end) continue;
    if (begin == held.range.begin && end == held.range.end) {
      sum += held.digest;
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

std::shared_ptr<Writer::Target> Writer::take(std::uint64_t entry) {
  const std::lock_guard lock(mutex_);
  const auto found = targets_.find(entry);
  if (found == targets_.end()) return nullptr;
  std::shared_ptr<Target> file = std::move(found->second);
  targets_.erase(found);
  return file;
}

void Writer::write(std::uint64_t entry, std::int64_t offset, std::span<const std::byte> data) {
  const std::shared_ptr<Target> file = target(entry);
  open_once(*file);
  write_to(*file, offset, data);
  publish_overdue();
}

void Writer::write_to(const Target& target, std::int64_t offset, std::span<const std::byte> data) {
  if (!target.entry.sparse) return write_at(target.fd.get(), offset, data, target.shown);
  // Its holes are smaller than what travels.
  while (!data.empty()) {
    std::size_t length = std::min(kZeroPage, data.size());
    const bool zeros = base::all_zeros(data.first(length));
    while (length < data.size() &&
           base::all_zeros(data.subspan(length, std::min(kZeroPage, data.size() - length))) == zeros) {
      length += std::min(kZeroPage, data.size() - length);
    }
    if (zeros) {
      leave_hole(target, offset, static_cast<std::int64_t>(length));
    } else {
      write_at(target.fd.get(), offset, data.first(length), target.shown);
    }
    offset += static_cast<std::int64_t>(length);
    data = data.subspan(length);
  }
}

void Writer::hole(std::uint64_t entry, std::int64_t offset, std::int64_t length) {
  const std::shared_ptr<Target> file = target(entry);
  open_once(*file);
  file->has_holes.store(true, std::memory_order_relaxed);
  leave_hole(*file, offset, length);
}

// The file grows to its size when it is committed; but what an earlier run has written in vain may lie here.
void Writer::leave_hole(const Target& target, std::int64_t offset, std::int64_t length) {
  if (target.recovered.parts.empty()) return;
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
  open_once(*file);
  complete(file, length, digest);
  take(entry);
  if (file->stage) settle(*file->stage);
}

// A small file's whole way, with one look at the table: two threads at it wait for each other.
void Writer::put(std::uint64_t entry, std::span<const std::byte> data, const base::Digest& digest) {
  const std::shared_ptr<Target> file = take(entry);
  if (!file) throw base::Error(Kind::kIntegrity, {}, 0, "a file comes that nobody wants");
  try {
    open_once(*file);
    write_to(*file, 0, data);
    complete(file, static_cast<std::int64_t>(data.size()), digest);
  } catch (const base::Error&) {
    drop(*file, false);
    throw;
  }
  if (file->stage) settle(*file->stage);
  publish_overdue();
}

// Its metadata, and its name.
void Writer::complete(const std::shared_ptr<Target>& target, std::int64_t length, const base::Digest& digest) {
  if ((target->entry.sparse || target->has_holes.load(std::memory_order_relaxed)) &&
      ftruncate(target->fd.get(), length) != 0)
    throw failure(target->shown, "can't be written");
  if (settings_.read_back) read_back(*target, length, digest);
  if (settings_.manifest) target->digest = digest;
  // Before it is somebody else's, or others may write it: then it is none that an interrupted run goes on with.
  if (settings_.fsync && target->journal && fdatasync(target->fd.get()) != 0) throw failure(target->shown, "fdatasync");
  set_metadata(*target);
  if (settings_.fsync && target->nameless) return publish_later(target);
  if (settings_.fsync && fsync(target->fd.get()) != 0) throw failure(target->shown, "fsync");
  publish(*target);
}

std::optional<base::Digest> Writer::written_digest(std::uint64_t entry, std::int64_t length) {
  const std::shared_ptr<Target> file = target(entry);
  open_once(*file);
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

void Writer::set_metadata(const Target& target) {
  struct stat status = {};
  // What was just made under the mask has what it was made with: asking would be a call for each file.
  const bool inherits = target.folder->gives_group || target.folder->gives_acl;
  const bool made_so = target.temporary.empty() || is_staged(target);
  if (made_so && !inherits && (target.entry.mode & ~0777U) == 0) {
    status.st_uid = user_;
    status.st_gid = group_;
    status.st_mode = first_mode(target.entry) & ~mask_;
    status.st_mtim.tv_nsec = UTIME_OMIT;  // no time that an entry may have
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
  lacks(file::set_metadata(target.fd.get(), status, *what, all, !target.folder->gives_acl, target.shown));
}

void Writer::publish(Target& target) {
  if (target.temporary.empty()) link_nameless(target);
  // A network file system may report a failed write only here.
  if (const int error_number = target.fd.close(); error_number != 0) {
    // It may have its name already, which no other file had.
    if (target.temporary.empty())
      static_cast<void>(unlinkat(target.folder->fd.get(), leaf(target.entry.path).c_str(), 0));
    throw base::system_error(Kind::kDestination, target.shown, error_number, "closing failed");
  }
  if (is_staged(target)) target.made = false;
  if (target.made) show(target);
  put_in_manifest(target.entry, *target.folder, target.digest);
}

void Writer::show(Target& target) {
  const int folder = target.folder->fd.get();
  if (renameat(folder, target.temporary.c_str(), folder, leaf(target.entry.path).c_str()) != 0) {
    throw failure(target.shown, "can't be put in place");
  }
  target.made = false;
  // After a power failure the part would be back, with an owner and a mode that no run goes on with.
  if (settings_.fsync && target.journal && fsync(folder) != 0) throw failure(target.shown, "fsync of its folder");
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
  target.temporary = replacement_name(name);
  if (unlinkat(folder, target.temporary.c_str(), 0) != 0 && errno != ENOENT) {
    throw failure(target.shown, "a leftover can't be removed");
  }
  if (!link_as(target.temporary)) throw failure(target.shown, "can't be put in place");
  target.made = true;
}

void Writer::give_up(std::uint64_t entry, bool stays) noexcept {
  if (const auto file = take(entry)) drop(*file, stays);
}

void Writer::drop(Target& target, bool stays) noexcept {
  if (target.replaces) note_failed(target.entry.path);
  // What an interrupt cuts short can be gone on with where there is a journal.
  if (!target.journal || distrusted_ || (!stays && base::interrupted() == 0)) remove_part(target);
  if (target.stage) settle(*target.stage);
}

void Writer::remove_part(Target& target) {
  // Without the lock the name belongs to another run. A leftover that can't be removed is the next run's to replace.
  if (!target.made) return;
  static_cast<void>(unlinkat(target.folder->fd.get(), target.temporary.c_str(), 0));
  if (target.journal)
    static_cast<void>(unlinkat(target.folder->fd.get(), journal_name(leaf(target.entry.path)).c_str(), 0));
}

}  // namespace argosy::file
