#include "file/reader.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <utility>

#include "base/activity.h"
#include "base/interrupt.h"
#include "file/digest_file.h"

namespace argosy::file {

namespace {

core::Timestamp timestamp(const timespec& time) { return {time.tv_sec, static_cast<std::int32_t>(time.tv_nsec)}; }

void fill_from(core::Entry& entry, const struct stat& status) {
  entry.size = status.st_size;
  entry.mode = status.st_mode & 07777U;
  entry.uid = status.st_uid;
  entry.gid = status.st_gid;
  entry.mtime = timestamp(status.st_mtim);
  entry.ctime = timestamp(status.st_ctim);
  entry.inode = status.st_ino;
}

// Why a file of this kind can't be a source; empty for a regular file.
std::string refusal(const struct stat& status) {
  if (S_ISREG(status.st_mode)) return {};
  if (S_ISDIR(status.st_mode)) return "is a folder, and folders are not sent";
  return "is not a regular file (standard input is -)";
}

mode_t file_mode_of_process() {
  const mode_t mask = umask(0);
  umask(mask);
  return 0666U & ~mask;
}

// Waits for standard input, which may never come, while the job may be asked to stop.
void wait_readable(int fd) {
  while (true) {
    if (base::interrupted() != 0) throw base::Error(base::Kind::kSource, "-", EINTR, "reading was interrupted");
    pollfd waiting = {fd, POLLIN, 0};
    const int ready = ::poll(&waiting, 1, 100);
    if (ready > 0) return;
    if (ready < 0 && errno != EINTR) throw base::system_error(base::Kind::kSource, "-", errno, "poll");
  }
}

}  // namespace

Reader::Reader(std::vector<Named> files, std::function<base::Fd()> standard_input)
    : files_(std::move(files)), standard_input_(std::move(standard_input)) {}

Reader::Totals Reader::scan(bool digests) {
  Totals totals;
  for (const Named& file : files_) {
    core::Entry entry;
    entry.path = file.name;
    if (file.standard_input) {
      entry.open_ended = true;
      entry.mode = file_mode_of_process();
      timespec now{};
      // clock_gettime fails only for a bad clock or address.
      static_cast<void>(clock_gettime(CLOCK_REALTIME, &now));
      entry.mtime = timestamp(now);
      totals.open_ended = true;
      ++totals.files;
      entries_.push_back(std::move(entry));
      continue;
    }
    struct stat status = {};
    std::string why;
    // A source named by a symbolic link is the file behind it, as with cp.
    if (::stat(file.path.c_str(), &status) != 0) {
      entry.error_number = errno;
      if (errno == ENOENT || errno == ENOTDIR) entry.size = core::kMissing;
      failures_.push_back(base::system_error(base::Kind::kSource, file.shown, errno, "can't be read").failure());
    } else if (why = refusal(status); !why.empty()) {
      entry.error_number = S_ISDIR(status.st_mode) ? EISDIR : EINVAL;
      failures_.push_back({base::Kind::kSource, file.shown, -1, {}, entry.error_number, why});
    } else if (::access(file.path.c_str(), R_OK) != 0) {
      entry.error_number = errno;
      failures_.push_back(base::system_error(base::Kind::kSource, file.shown, errno, "can't be read").failure());
    } else {
      fill_from(entry, status);
      if (digests) entry.digest = digest_of_file(file.path, entry.size);
      totals.bytes += entry.size;
      ++totals.files;
    }
    entries_.push_back(std::move(entry));
  }
  totals.failures = failures_;
  return totals;
}

core::Listing Reader::next_entries() {
  core::Listing listing;
  std::size_t bytes = 0;
  while (listed_ < entries_.size() && listing.entries.size() < core::kEntriesAPage) {
    const core::Entry& entry = entries_[listed_];
    bytes += core::encoded_size(entry);
    if (bytes > core::kPageBytes - 64) break;
    listing.entries.push_back(entry);
    ++listed_;
  }
  listing.failures = std::exchange(failures_, {});
  return listing;
}

void Reader::adopt(const core::Page& page) {
  entries_.insert(entries_.end(), page.entries.begin(), page.entries.end());
}

std::shared_ptr<Reader::Open> Reader::opened(std::uint64_t entry) {
  std::shared_ptr<Open> open;
  {
    const std::lock_guard lock(mutex_);
    std::shared_ptr<Open>& place = open_[entry];
    if (!place) place = std::make_shared<Open>();
    open = place;
  }
  // An exception leaves the flag unset: every extent of a file that can't be opened says why.
  std::call_once(open->opened, [&] { open_file(entry, *open); });
  return open;
}

void Reader::open_file(std::uint64_t index, Open& open) const {
  const Named& file = files_.at(index);
  if (file.standard_input) {
    open.fd = standard_input_();
    return;
  }
  // Not blocking: what was a regular file at the scan may be a pipe without a writer by now.
  base::Fd fd(openat(AT_FDCWD, file.path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
  if (!fd.valid()) throw base::system_error(base::Kind::kSource, file.shown, errno, "can't be read");
  check_unchanged(index, fd.get());
  // Readahead is a hint; a file system without it loses nothing but speed.
  static_cast<void>(posix_fadvise(fd.get(), 0, 0, POSIX_FADV_SEQUENTIAL));
  open.fd = std::move(fd);
}

void Reader::check_unchanged(std::uint64_t index, int fd) const {
  const std::string& shown = files_.at(index).shown;
  struct stat status = {};
  if (fstat(fd, &status) != 0) throw base::system_error(base::Kind::kSource, shown, errno, "can't be read");
  const core::Entry& entry = entries_.at(index);
  if (status.st_size != entry.size || status.st_ino != entry.inode || timestamp(status.st_mtim) != entry.mtime ||
      timestamp(status.st_ctim) != entry.ctime) {
    throw base::Error(base::Kind::kSource, shown, 0, "changed while it was read");
  }
}

std::size_t Reader::read(std::uint64_t entry, std::int64_t offset, std::span<std::byte> into) {
  const Named& file = files_.at(entry);
  const std::shared_ptr<Open> open = opened(entry);
  const int fd = open->fd.get();
  std::size_t done = 0;
  while (done < into.size()) {
    const auto rest = into.subspan(done);
    if (file.standard_input) wait_readable(fd);
    const ssize_t got = file.standard_input ? ::read(fd, rest.data(), rest.size())
                                            : ::pread(fd, rest.data(), rest.size(), offset + static_cast<off_t>(done));
    if (got < 0 && (errno == EINTR || (file.standard_input && errno == EAGAIN))) continue;
    if (got < 0) throw base::system_error(base::Kind::kSource, file.shown, errno, "reading failed");
    if (got == 0 && file.standard_input) break;
    if (got == 0) throw base::Error(base::Kind::kSource, file.shown, 0, "changed while it was read: it became shorter");
    done += static_cast<std::size_t>(got);
    base::note_activity();
  }
  return done;
}

void Reader::close(std::uint64_t entry) {
  std::shared_ptr<Open> open;
  {
    const std::lock_guard lock(mutex_);
    const auto found = open_.find(entry);
    if (found == open_.end()) return;
    open = std::move(found->second);
    open_.erase(found);
  }
  if (!open->fd.valid() || files_.at(entry).standard_input) return;
  check_unchanged(entry, open->fd.get());
}

std::vector<std::string> read_list(const base::Fd& list, const std::string& path, bool nul) {
  std::string text;
  std::vector<char> buffer(64 * 1024);
  while (true) {
    const ssize_t got = ::read(list.get(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw base::system_error(base::Kind::kSource, path, errno, "reading the list failed");
    if (got == 0) break;
    text.append(buffer.data(), static_cast<std::size_t>(got));
  }
  std::vector<std::string> names;
  const char end = nul ? '\0' : '\n';
  std::size_t start = 0;
  while (start < text.size()) {
    const std::size_t stop = std::min(text.find(end, start), text.size());
    if (stop > start) names.push_back(text.substr(start, stop - start));
    start = stop + 1;
  }
  return names;
}

}  // namespace argosy::file
