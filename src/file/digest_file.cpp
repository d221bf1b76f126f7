#include "file/digest_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <span>
#include <string_view>
#include <vector>

#include "base/activity.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/interrupt.h"
#include "base/sha256.h"
#include "file/disk.h"
#include "file/holes.h"

namespace argosy::file {

namespace {
// Between two looks at whether it is to be interrupted.
constexpr std::int64_t kHoleAtOnce = 1 << 30;
}  // namespace

std::optional<base::Digest> digest_of_fd(int fd, std::int64_t length) {
  std::vector<std::byte> leaf(static_cast<std::size_t>(base::kLeafSize));
  base::Digest sum;
  Holes holes(fd);
  std::int64_t offset = 0;
  while (offset < length) {
    if (base::interrupted() != 0) return std::nullopt;
    if (const std::int64_t hole = std::min(holes.at(offset, length - offset), kHoleAtOnce); hole > 0) {
      sum += base::digest_of_zeros(offset, hole);
      offset += hole;
      base::note_activity();
      continue;
    }
    const auto part = std::span(leaf).first(static_cast<std::size_t>(std::min(base::kLeafSize, length - offset)));
    if (read_up_to(fd, offset, part) != static_cast<std::int64_t>(part.size())) return std::nullopt;
    sum += base::digest_of(part, offset);
    offset += static_cast<std::int64_t>(part.size());
  }
  return base::close_digest(sum, length);
}

// Paths may be longer than open(2) takes: those are gone along.
base::Fd open_long(const std::string& path) {
  constexpr int kFlags = O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
  if (path.size() < PATH_MAX) return base::Fd(open(path.c_str(), kFlags));
  base::Fd folder(open(path.starts_with('/') ? "/" : ".", O_PATH | O_DIRECTORY | O_CLOEXEC));
  std::string_view rest = path;
  while (rest.size() >= PATH_MAX && folder.valid()) {
    rest.remove_prefix(std::min(rest.find_first_not_of('/'), rest.size()));
    std::size_t end = rest.rfind('/', PATH_MAX - 1);
    if (end == std::string_view::npos || end == 0) return {};
    folder = base::Fd(openat(folder.get(), std::string(rest.substr(0, end)).c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    rest.remove_prefix(end + 1);
  }
  if (!folder.valid()) return {};
  return base::Fd(openat(folder.get(), std::string(rest).c_str(), kFlags));
}

std::optional<base::Digest> digest_of_file(const std::string& path, std::int64_t length) {
  const base::Fd fd = open_long(path);
  return fd.valid() ? digest_of_fd(fd.get(), length) : std::nullopt;
}

OpenedForDigest::OpenedForDigest(const std::string& path, const std::string& shown, std::int64_t size)
    : shown_(shown), fd_(open_long(path)) {
  struct stat status = {};
  if (!fd_.valid() || fstat(fd_.get(), &status) != 0)
    throw base::system_error(base::Kind::kSource, shown_, errno, "can't be read");
  if (status.st_size != size) throw base::Error(base::Kind::kSource, shown_, 0, "changed while it was read");
  // Readahead is a hint; a file system without it loses nothing but speed.
  static_cast<void>(posix_fadvise(fd_.get(), 0, 0, POSIX_FADV_SEQUENTIAL));
}

std::size_t OpenedForDigest::read(std::span<std::byte> into, std::int64_t offset) const {
  if (base::interrupted() != 0) throw base::Error(base::Kind::kSource, shown_, EINTR, "reading was interrupted");
  const std::int64_t got = read_up_to(fd_.get(), offset, into);
  if (got < 0) throw base::system_error(base::Kind::kSource, shown_, errno, "reading failed");
  return static_cast<std::size_t>(got);
}

base::Digest OpenedForDigest::sum(std::int64_t offset, std::int64_t length) const {
  std::vector<std::byte> leaf(static_cast<std::size_t>(std::min(length, base::kLeafSize)));
  base::Digest sum;
  Holes holes(fd_.get());
  while (length > 0) {
    if (const std::int64_t hole = std::min(holes.at(offset, length), kHoleAtOnce); hole > 0) {
      if (base::interrupted() != 0) throw base::Error(base::Kind::kSource, shown_, EINTR, "reading was interrupted");
      sum += base::digest_of_zeros(offset, hole);
      offset += hole;
      length -= hole;
      base::note_activity();
      continue;
    }
    const auto part = std::span(leaf).first(static_cast<std::size_t>(std::min(length, base::kLeafSize)));
    if (read(part, offset) < part.size())
      throw base::Error(base::Kind::kSource, shown_, 0, "changed while it was read: it became shorter");
    sum += base::digest_of(part, offset);
    offset += static_cast<std::int64_t>(part.size());
    length -= static_cast<std::int64_t>(part.size());
  }
  return sum;
}

base::Digest OpenedForDigest::sum_to_end(std::int64_t& length) const {
  std::vector<std::byte> leaf(static_cast<std::size_t>(base::kLeafSize));
  base::Digest sum;
  length = 0;
  while (true) {
    const std::size_t got = read(leaf, length);
    if (got > 0) sum += base::digest_of(std::span(leaf).first(got), length);
    length += static_cast<std::int64_t>(got);
    if (got < leaf.size()) return sum;
  }
}

std::string OpenedForDigest::sha256() const {
  std::vector<std::byte> buffer(static_cast<std::size_t>(base::kLeafSize));
  base::Sha256 sha;
  std::int64_t offset = 0;
  while (true) {
    const std::size_t got = read(buffer, offset);
    if (got == 0) return sha.finish();
    sha.add(std::span(buffer).first(got));
    offset += static_cast<std::int64_t>(got);
  }
}

}  // namespace argosy::file
