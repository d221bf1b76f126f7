// The part of Downloads that goes on with what an interrupted run has left: `.argosy-HASH.NUMBER.get`, which belongs to
// whoever holds the kernel's lock on it, and beside it its journal, `.argosy-HASH.NUMBER.get.journal`
// (doc/journal_format.md), which is covered by that lock.
#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "file/download.h"
#include "file/temporary.h"

namespace argosy::file {

namespace {

// More than come before a journal is there.
constexpr std::size_t kMostUnnoted = 4096;
constexpr int kFlags = O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK;

}  // namespace

JournalNames Downloads::journal_of(const std::string& temporary) const {
  return {folder_.fd(), download_journal(temporary), download_aside(temporary)};
}

// Once, and a name at a time: a folder may hold very many files.
void Downloads::look_for_leftovers() {
  base::Fd fd(openat(folder_.fd(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid()) return;  // who writes will be told
  const std::unique_ptr<DIR, int (*)(DIR*)> folder(fdopendir(fd.get()), closedir);
  if (!folder) return;
  static_cast<void>(fd.release());
  while (const dirent* entry = readdir(folder.get())) {
    if (std::string name = download_of(entry->d_name); !name.empty()) leftovers_.insert(std::move(name));
  }
}

std::optional<Begun> Downloads::begun(const std::string& guess) {
  std::call_once(looked_, [this] { look_for_leftovers(); });
  if (leftovers_.empty()) return std::nullopt;
  const std::string stem = download_stem(guess);
  std::optional<Begun> most;
  Leftover leftover;
  std::string its_name;
  for (auto at = leftovers_.lower_bound(stem); at != leftovers_.end() && at->starts_with(stem); ++at) {
    std::uint64_t number = 0;
    const char* digits = at->data() + stem.size();
    // Another number is none of a download's.
    if (std::from_chars(digits, at->data() + at->size(), number).ec != std::errc() || number >= kDownloads) continue;
    std::string other = *at;
    const base::Fd fd(openat(folder_.fd(), at->c_str(), kFlags));
    auto one = fd.valid() ? file::begun(journal_of(*at), fd.get()) : std::nullopt;
    if (one && one->bytes > 0 && (!most || one->bytes > most->bytes)) {
      most = std::move(one);
      leftover.number = number;
      std::swap(other, its_name);
    }
    if (!other.empty()) remove_leftover(other);
  }
  if (!most) return std::nullopt;
  const std::lock_guard lock(mutex_);
  begun_[guess] = leftover;
  return most;
}

void Downloads::remove_begun(const std::string& guess) noexcept {
  std::uint64_t number = 0;
  {
    const std::lock_guard lock(mutex_);
    const auto found = begun_.find(guess);
    if (found == begun_.end() || !std::exchange(found->second.there, false)) return;
    number = found->second.number;
  }
  remove_leftover(download_name(guess, number));
}

// Under its lock, so that none of another run's is touched; a journal whose file is gone has none, and gets one.
void Downloads::remove_leftover(const std::string& name) const noexcept {
  File leftover;
  leftover.temporary = name;
  leftover.fd = base::Fd(openat(folder_.fd(), name.c_str(), kFlags | O_CREAT, 0600));
  struct stat by_name = {};
  struct stat by_fd = {};
  // A symbolic link is no run's.
  if (!leftover.fd.valid() && errno == ELOOP) return remove(leftover);
  if (!leftover.fd.valid() || flock(leftover.fd.get(), LOCK_EX | LOCK_NB) != 0) return;
  if (fstat(leftover.fd.get(), &by_fd) != 0) return;
  // Whoever had it may have put it in place meanwhile.
  if (fstatat(folder_.fd(), name.c_str(), &by_name, AT_SYMLINK_NOFOLLOW) != 0) return;
  if (by_name.st_ino == by_fd.st_ino && by_name.st_dev == by_fd.st_dev) remove(leftover);
}

void Downloads::remove(const File& file) const noexcept {
  // A leftover that can't be removed is the next run's to replace.
  static_cast<void>(unlinkat(folder_.fd(), file.temporary.c_str(), 0));
  static_cast<void>(unlinkat(folder_.fd(), download_journal(file.temporary).c_str(), 0));
}

std::vector<core::Part> Downloads::pin(std::uint64_t number, const std::string& guess, const Journal::Key& key,
                                       bool goes_on) {
  const std::shared_ptr<File> one = file(number, guess);
  Recovered found;
  if (goes_on) {
    found = recover(journal_of(one->temporary), base::Fd(fcntl(one->fd.get(), F_DUPFD_CLOEXEC, 0)), key, one->shown);
  }
  // What lies behind its end is nobody's.
  if (one->goes_on && ftruncate(one->fd.get(), key.size) != 0) {
    throw base::system_error(base::Kind::kDestination, one->shown, errno, "can't be written");
  }
  const std::lock_guard lock(one->mutex);
  if (found.parts.empty()) {
    one->journal.emplace(folder_.fd(), download_journal(one->temporary), key, one->fd.get(), durable_, one->shown);
  } else {
    one->journal.emplace(found, one->fd.get(), durable_, one->shown);
  }
  for (const Journal::Record& record : std::exchange(one->unnoted, {})) one->journal->add(record.range, record.digest);
  return std::move(found.parts);
}

void Downloads::note(std::uint64_t number, core::Range range, const base::Digest& digest) {
  const std::shared_ptr<File> one = find(number);
  {
    const std::lock_guard lock(one->mutex);
    if (!one->journal) {
      if (one->unnoted.size() < kMostUnnoted) one->unnoted.push_back({range, digest, false});
      return;
    }
  }
  one->journal->add(range, digest);
}

}  // namespace argosy::file
