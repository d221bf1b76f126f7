#include "file/download.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <ctime>
#include <sstream>
#include <string_view>
#include <utility>
#include <vector>

#include "base/activity.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/interrupt.h"
#include "file/temporary.h"

namespace argosy::file {

namespace {

using base::Kind;

constexpr const char* kEtag = "user.argosy.etag";
constexpr const char* kOrigin = "user.argosy.origin";
constexpr std::size_t kLongestEtag = 1024;
constexpr std::size_t kReadBytes = 1 << 20;

base::Error failure(const std::string& shown, const char* what) {
  return base::system_error(Kind::kDestination, shown, errno, what);
}

// Where there are no attributes: what is kept of `name`, as two lines.
std::string beside(const std::string& name) { return fmt::format(".etag-{:016x}", hash_of(name)); }

// What is kept besides the ETag: "SIZE NANOSECONDS SOURCE DIGEST", the time since 1970.
struct Origin {
  std::int64_t size = -1;
  std::int64_t time = 0;
  std::string source;
  std::string digest;
};

std::optional<Origin> parse_origin(const std::string& text) {
  std::istringstream words(text);
  Origin origin;
  if (!(words >> origin.size >> origin.time >> origin.source >> origin.digest)) return std::nullopt;
  return origin;
}

std::int64_t time_of(const struct stat& status) {
  return std::int64_t{status.st_mtim.tv_sec} * 1'000'000'000 + status.st_mtim.tv_nsec;
}

std::size_t read_at(int fd, const std::string& shown, std::int64_t offset, std::span<std::byte> into) {
  std::size_t have = 0;
  while (have < into.size()) {
    const ssize_t got = pread(fd, into.data() + have, into.size() - have, offset + static_cast<std::int64_t>(have));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw failure(shown, "can't be read");
    if (got == 0) break;
    have += static_cast<std::size_t>(got);
    base::note_activity();
  }
  return have;
}

// Of all that is in a file; nothing where it can't be read, or nobody wants to know any more.
std::string digest_of_file(int fd) {
  base::DigestStream stream;
  std::vector<std::byte> buffer(kReadBytes);
  try {
    for (std::int64_t at = 0; base::interrupted() == 0;) {
      const std::size_t got = read_at(fd, {}, at, buffer);
      if (got == 0) return base::to_string(stream.finish());
      stream.add(std::span(buffer).first(got));
      at += static_cast<std::int64_t>(got);
    }
  } catch (const base::Error&) {
    // It is fetched again.
  }
  return {};
}

std::optional<std::string> attribute(int fd, const char* name) {
  std::array<char, kLongestEtag> value{};
  const ssize_t length = fgetxattr(fd, name, value.data(), value.size());
  if (length < 0) return std::nullopt;
  return std::string(value.data(), static_cast<std::size_t>(length));
}

}  // namespace

Downloads::~Downloads() {
  while (!files_.empty()) discard(files_.begin()->first, true);
}

bool Downloads::has_anything() const {
  base::Fd fd(openat(folder_.fd(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid()) return true;  // who asks for a file will be told
  const std::unique_ptr<DIR, int (*)(DIR*)> folder(fdopendir(fd.get()), closedir);
  if (!folder) return true;
  static_cast<void>(fd.release());
  while (const dirent* entry = readdir(folder.get())) {
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") return true;
  }
  return false;
}

std::optional<Downloads::Kept> Downloads::kept(const std::string& name) const {
  struct stat status = {};
  if (fstatat(folder_.fd(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) return std::nullopt;
  Kept kept;
  if (!S_ISREG(status.st_mode)) return kept;
  base::Fd fd(openat(folder_.fd(), name.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK));
  if (!fd.valid() || fstat(fd.get(), &status) != 0) return kept;
  std::optional<std::string> etag = attribute(fd.get(), kEtag);
  std::optional<std::string> about = attribute(fd.get(), kOrigin);
  if (!about) {
    const base::Fd side(openat(folder_.fd(), beside(name).c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK));
    std::array<char, 2 * kLongestEtag> text{};
    const ssize_t length = side.valid() ? ::read(side.get(), text.data(), text.size()) : -1;
    if (length <= 0) return kept;
    const std::string both(text.data(), static_cast<std::size_t>(length));
    const std::size_t end = both.find('\n');
    if (end == std::string::npos || !both.ends_with('\n')) return kept;
    etag = both.substr(0, end);
    about = both.substr(end + 1);
  }
  const auto origin = parse_origin(*about);
  if (!origin) return kept;
  kept.source = origin->source;
  kept.size = status.st_size;
  if (!etag || origin->size != status.st_size) return kept;
  if (origin->time != time_of(status) && digest_of_file(fd.get()) != origin->digest) return kept;
  kept.etag = *etag;
  kept.digest = origin->digest;
  kept.fd = std::move(fd);
  return kept;
}

std::size_t Downloads::read(const Kept& kept, const std::string& name, std::int64_t offset,
                            std::span<std::byte> into) const {
  return read_at(kept.fd.get(), folder_.shown(name), offset, into);
}

std::shared_ptr<Downloads::File> Downloads::find(std::uint64_t number) const {
  const std::lock_guard lock(mutex_);
  return files_.at(number);
}

std::shared_ptr<Downloads::File> Downloads::file(std::uint64_t number, const std::string& guess) {
  std::shared_ptr<File> file;
  {
    const std::lock_guard lock(mutex_);
    std::shared_ptr<File>& entry = files_[number];
    if (!entry) {
      entry = std::make_shared<File>();
      // The same in every run, so that the next run finds what a killed one has left. The first goes on with that, and
      // those behind it have other names.
      const auto leftover = begun_.find(guess);
      const std::uint64_t first = leftover == begun_.end() ? 0 : leftover->second.number;
      entry->goes_on = number % kDownloads == 0 && leftover != begun_.end() && leftover->second.there;
      if (entry->goes_on) leftover->second.there = false;
      entry->temporary = download_name(guess, (first + number) % kDownloads);
      entry->shown = folder_.shown(guess);
    }
    file = entry;
  }
  std::call_once(file->opened, [&] { open(*file); });
  return file;
}

// The kernel's lock on the file itself keeps other runs away: a killed run leaves a file, but no lock.
void Downloads::open(File& file) const {
  constexpr int kFlags = O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK;
  constexpr mode_t kMode = 0666;  // less the umask, as any new file
  while (true) {
    base::Fd fd(openat(folder_.fd(), file.temporary.c_str(), kFlags | O_EXCL, kMode));
    const bool fresh = fd.valid();
    if (!fresh && errno == EEXIST) fd = base::Fd(openat(folder_.fd(), file.temporary.c_str(), kFlags, kMode));
    if (!fd.valid()) throw failure(file.shown, "can't be written");
    if (flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
      if (errno == EINTR) continue;
      if (errno == EWOULDBLOCK) {
        throw base::Error(Kind::kDestination, file.shown, EBUSY, "in use by another run");
      }
      throw failure(file.shown, "can't be locked");
    }
    if (!fresh && !take_over(file, fd.get())) continue;
    file.fd = std::move(fd);
    file.made = true;
    return;
  }
}

// Empties what a killed run has left, unless it is to be gone on with. False where it has to be looked for once more:
// whoever held it has put it in place or taken it away meanwhile, or it could be somebody else's and is gone now.
bool Downloads::take_over(const File& file, int fd) const {
  struct stat by_name = {};
  struct stat by_fd = {};
  if (fstat(fd, &by_fd) != 0) throw failure(file.shown, "can't be written");
  const bool there = fstatat(folder_.fd(), file.temporary.c_str(), &by_name, AT_SYMLINK_NOFOLLOW) == 0;
  if (!there || by_name.st_ino != by_fd.st_ino || by_name.st_dev != by_fd.st_dev) return false;
  if (!S_ISREG(by_fd.st_mode)) throw base::Error(Kind::kDestination, file.shown, 0, "a leftover is no file");
  if (!is_ours(fd, by_fd)) {
    if (unlinkat(folder_.fd(), file.temporary.c_str(), 0) != 0)
      throw failure(file.shown, "a leftover can't be removed");
    return false;
  }
  if (file.goes_on) return true;
  if (by_fd.st_size > 0 && ftruncate(fd, 0) != 0) throw failure(file.shown, "can't be written");
  return true;
}

void Downloads::write(std::uint64_t number, const std::string& guess, std::int64_t offset,
                      std::span<const std::byte> data) {
  const std::shared_ptr<File> one = file(number, guess);
  while (!data.empty()) {
    const ssize_t put = pwrite(one->fd.get(), data.data(), data.size(), offset);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) throw failure(one->shown, "can't be written");
    data = data.subspan(static_cast<std::size_t>(put));
    offset += put;
    base::note_activity();
  }
}

std::size_t Downloads::read(std::uint64_t number, std::int64_t offset, std::span<std::byte> into) const {
  const std::shared_ptr<File> one = find(number);
  return read_at(one->fd.get(), one->shown, offset, into);
}

void Downloads::forget_cached(std::uint64_t number) const {
  const std::shared_ptr<File> one = find(number);
  if (fdatasync(one->fd.get()) != 0) throw failure(one->shown, "fdatasync");
  static_cast<void>(posix_fadvise(one->fd.get(), 0, 0, POSIX_FADV_DONTNEED));
}

// The origin's, or the present one: either is set, so that no later write of a network file system's changes it.
void Downloads::set_time(const File& file, const Final& how) const {
  timespec times[2] = {{0, UTIME_OMIT}, {how.modified.value_or(0), 0}};
  if (!how.modified && clock_gettime(CLOCK_REALTIME, &times[1]) != 0)
    throw failure(file.shown, "the time can't be had");
  if (futimens(file.fd.get(), times) != 0) throw failure(file.shown, "the time can't be set");
}

void Downloads::keep(const File& file, const Final& how) const {
  struct stat status = {};
  if (fstat(file.fd.get(), &status) != 0) throw failure(file.shown, "can't be looked at");
  const std::string about =
      fmt::format("{} {} {} {}", how.size, time_of(status), how.source, base::to_string(how.digest));
  const bool known = !how.etag.empty() && how.etag.size() <= kLongestEtag;
  const bool kept = fsetxattr(file.fd.get(), kOrigin, about.data(), about.size(), 0) == 0;
  if (kept && (!known || fsetxattr(file.fd.get(), kEtag, how.etag.data(), how.etag.size(), 0) == 0)) return;
  // What the file before had to say is over, whatever comes now.
  const std::string name = beside(how.name);
  if (unlinkat(folder_.fd(), name.c_str(), 0) != 0 && errno != ENOENT) {
    throw failure(file.shown, "its old ETag can't be removed");
  }
  const base::Fd side(openat(folder_.fd(), name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  const std::string text = (known ? how.etag : "") + "\n" + about + "\n";
  if (side.valid() && ::write(side.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size())) return;
  // Without it the next run fetches the file once more: no reason to fail.
  static_cast<void>(unlinkat(folder_.fd(), name.c_str(), 0));
}

void Downloads::commit(std::uint64_t number, const std::string& guess, const Final& how) {
  const std::shared_ptr<File> one = file(number, guess);  // an empty file has had no write
  one->shown = folder_.shown(how.name);
  set_time(*one, how);
  keep(*one, how);
  if (durable_ && fsync(one->fd.get()) != 0) throw failure(one->shown, "fsync");
  if (renameat(folder_.fd(), one->temporary.c_str(), folder_.fd(), how.name.c_str()) != 0) {
    throw failure(one->shown, "can't be put in place");
  }
  one->made = false;
  // Without its file it says nothing: one that stays is harmless.
  if (one->journal) static_cast<void>(unlinkat(folder_.fd(), download_journal(one->temporary).c_str(), 0));
  // A network file system may report a failed write only here.
  if (const int error_number = one->fd.close(); error_number != 0) {
    static_cast<void>(unlinkat(folder_.fd(), how.name.c_str(), 0));
    throw base::system_error(Kind::kDestination, one->shown, error_number, "closing failed");
  }
  const std::lock_guard lock(mutex_);
  files_.erase(number);
}

void Downloads::discard(std::uint64_t number, bool stays) noexcept {
  std::shared_ptr<File> one;
  {
    const std::lock_guard lock(mutex_);
    const auto found = files_.find(number);
    if (found == files_.end()) return;
    one = std::move(found->second);
    files_.erase(found);
  }
  if (!one->made) return;
  const bool can_be_gone_on_with = one->journal || one->goes_on;
  if (!can_be_gone_on_with || (!stays && base::interrupted() == 0)) remove(*one);
}

}  // namespace argosy::file
