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

namespace argosy::file {

namespace {

using base::Kind;

base::Error failure(const std::string& shown, const char* what) {
  return base::system_error(Kind::kDestination, shown, errno, what);
}

// A name beside the target, the same in every run and short whatever the target's: a name of 255 bytes has no room for
// a suffix.
std::string name_beside(const std::string& path, const char* suffix) {
  return fmt::format(".argosy-{:016x}{}", base::checksum_of(std::as_bytes(std::span(path))), suffix);
}

timespec to_timespec(const core::Timestamp& time) { return {time.seconds, time.nanoseconds}; }

bool has_mtime(const struct stat& status, const core::Entry& entry) {
  return status.st_mtim.tv_sec == entry.mtime.seconds && status.st_mtim.tv_nsec == entry.mtime.nanoseconds;
}

// The very file that the source is, seen here through the same file system: no two files agree in all of these.
bool is_source_itself(const struct stat& status, const core::Entry& entry) {
  return status.st_ino == entry.inode && has_mtime(status, entry) && status.st_ctim.tv_sec == entry.ctime.seconds &&
         status.st_ctim.tv_nsec == entry.ctime.nanoseconds;
}

}  // namespace

Writer::~Writer() {
  while (!targets_.empty()) discard(targets_.begin()->first);
}

std::vector<bool> Writer::examine(const core::Page& page) {
  std::vector<bool> wanted(page.entries.size(), false);
  for (std::size_t i = 0; i < page.entries.size(); ++i) {
    const core::Entry& entry = page.entries[i];
    if (!entry.readable()) continue;
    if (folder_ == nullptr)
      throw base::Error(Kind::kIntegrity, entry.path, 0, "comes although no source could be read");
    if (is_in_place(entry)) continue;
    wanted[i] = true;
    auto target = std::make_shared<Target>();
    target->entry = entry;
    target->shown = folder_->shown(entry.path);
    target->temporary = name_beside(entry.path, ".part");
    const std::lock_guard lock(mutex_);
    targets_.emplace(page.first + i, std::move(target));
  }
  return wanted;
}

bool Writer::is_in_place(const core::Entry& entry) const {
  struct stat status = {};
  if (entry.open_ended || fstatat(folder_->fd(), entry.path.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) return false;
  if (!S_ISREG(status.st_mode) || status.st_size != entry.size) return false;
  if (is_source_itself(status, entry)) return true;
  if (!settings_.leave_same) return false;
  if (!settings_.checksum) return has_mtime(status, entry);
  if (!entry.digest) return false;
  const base::Fd fd(openat(folder_->fd(), entry.path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK));
  return fd.valid() && digest_of_fd(fd.get(), entry.size) == entry.digest;
}

std::shared_ptr<Writer::Target> Writer::target(std::uint64_t entry) {
  const std::lock_guard lock(mutex_);
  return targets_.at(entry);
}

void Writer::open(Target& target) const {
  struct stat status = {};
  if (fstatat(folder_->fd(), target.entry.path.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(status.st_mode)) {
    throw base::system_error(Kind::kDestination, target.shown, EISDIR, "can't be replaced");
  }
  target.lock.emplace(folder_->fd(), name_beside(target.entry.path, ".lock"), target.shown);
  // The lock is ours, so what stands under this name was left by a run that was killed, or planted.
  if (unlinkat(folder_->fd(), target.temporary.c_str(), 0) != 0 && errno != ENOENT) {
    throw failure(target.shown, "a leftover can't be removed");
  }
  const int flags = O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
  target.fd = base::Fd(openat(folder_->fd(), target.temporary.c_str(), flags, 0600));
  if (!target.fd.valid()) throw failure(target.shown, "can't be written");
  target.made = true;
}

void Writer::write(std::uint64_t entry, std::int64_t offset, std::span<const std::byte> data) {
  const std::shared_ptr<Target> file = target(entry);
  std::call_once(file->opened, [&] { open(*file); });
  while (!data.empty()) {
    const ssize_t put = pwrite(file->fd.get(), data.data(), data.size(), offset);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) throw failure(file->shown, "can't be written");
    data = data.subspan(static_cast<std::size_t>(put));
    offset += put;
    base::note_activity();
  }
}

void Writer::commit(std::uint64_t entry, std::int64_t length, const base::Digest& digest) {
  const std::shared_ptr<Target> file = target(entry);
  // An empty file may end before its nothing has been written.
  std::call_once(file->opened, [&] { open(*file); });
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
  if (fstat(target.fd.get(), &status) != 0) throw failure(target.shown, "fstat");
  // Set-id bits say "with the owner's rights", so they go only with the owner they were given for.
  const bool same_owner = status.st_uid == target.entry.uid && status.st_gid == target.entry.gid;
  const mode_t mode = target.entry.mode & (same_owner ? 07777U : 01777U);
  if (fchmod(target.fd.get(), mode) != 0) throw failure(target.shown, "the mode can't be set");
  const timespec times[2] = {{0, UTIME_OMIT}, to_timespec(target.entry.mtime)};
  if (futimens(target.fd.get(), times) != 0) throw failure(target.shown, "the time can't be set");
}

void Writer::publish(Target& target) const {
  if (settings_.fsync && fsync(target.fd.get()) != 0) throw failure(target.shown, "fsync");
  // A network file system may report a failed write only here.
  if (const int error_number = target.fd.close(); error_number != 0) {
    throw base::system_error(Kind::kDestination, target.shown, error_number, "closing failed");
  }
  if (renameat(folder_->fd(), target.temporary.c_str(), folder_->fd(), target.entry.path.c_str()) != 0) {
    throw failure(target.shown, "can't be put in place");
  }
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
  // Without the lock the name belongs to another run. A leftover that can't be removed is the next run's to replace.
  if (file->made) static_cast<void>(unlinkat(folder_->fd(), file->temporary.c_str(), 0));
}

}  // namespace argosy::file
