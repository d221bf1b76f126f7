#include "file/compare.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <span>

#include "base/activity.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/interrupt.h"
#include "file/disk.h"

namespace argosy::file {

namespace {

using base::Kind;
using core::Type;

constexpr std::int64_t kBuffer = 256 * 1024;

std::string leaf(const Place& place) { return place.path.empty() ? "." : std::string(name_of(place.path)); }

std::shared_ptr<const OpenFolder> folder_of(const Place& place, const std::string& shown) {
  auto folder = place.folders.open(parent_of(place.path));
  if (!folder) throw base::system_error(Kind::kSource, shown, errno, "can't be read");
  return folder;
}

base::Fd open_file(const Place& place, const std::string& shown) {
  const auto folder = folder_of(place, shown);
  base::Fd fd(openat(folder->fd.get(), leaf(place).c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
  if (!fd.valid()) throw base::system_error(Kind::kSource, shown, errno, "can't be read");
  return fd;
}

std::size_t read_at(int fd, std::span<std::byte> into, std::int64_t offset, const std::string& shown) {
  const std::int64_t got = read_up_to(fd, offset, into);
  if (got < 0) throw base::system_error(Kind::kSource, shown, errno, "reading failed");
  return static_cast<std::size_t>(got);
}

// Where the next data begins, `end` where there is none, `offset` where the file system can't tell.
std::int64_t next_data(int fd, std::int64_t offset, std::int64_t end) {
  const off_t data = lseek(fd, offset, SEEK_DATA);
  if (data < 0) return errno == ENXIO ? end : offset;
  return std::min<std::int64_t>(data, end);
}

std::string time_text(const core::Timestamp& time) { return fmt::format("{}.{:09}", time.seconds, time.nanoseconds); }

}  // namespace

Type type_of(mode_t mode) {
  switch (mode & S_IFMT) {
    case S_IFDIR:
      return Type::kFolder;
    case S_IFLNK:
      return Type::kSymlink;
    case S_IFIFO:
      return Type::kFifo;
    case S_IFSOCK:
      return Type::kSocket;
    case S_IFCHR:
      return Type::kCharDevice;
    case S_IFBLK:
      return Type::kBlockDevice;
    default:
      return Type::kFile;
  }
}

std::string_view type_name(Type type) {
  constexpr std::array<std::string_view, core::kTypes> kNames = {"file", "folder", "symbolic link",    "hard link",
                                                                 "fifo", "socket", "character device", "block device"};
  return kNames.at(static_cast<std::size_t>(type));
}

void compare_status(const core::Entry& a, const core::Entry& b, const Metadata& what, std::vector<std::string>& found) {
  if (a.type != b.type) {
    found.push_back(fmt::format("type: {}, {}", type_name(a.type), type_name(b.type)));
    return;
  }
  const bool link = a.type == Type::kSymlink;
  if (a.type == Type::kFile && a.size != b.size) found.push_back(fmt::format("size: {}, {}", a.size, b.size));
  if (link && a.link != b.link)
    found.push_back(fmt::format("link: {}, {}", base::printable(a.link), base::printable(b.link)));
  if (a.device != b.device) found.push_back(fmt::format("device: {:#x}, {:#x}", a.device, b.device));
  // Set-id bits go only with their owner.
  const bool same_owner = a.uid == b.uid && a.gid == b.gid;
  const mode_t told = what.owner || same_owner ? 07777U : 01777U;
  if (what.mode && !link && (a.mode & told) != (b.mode & told))
    found.push_back(fmt::format("mode: {:04o}, {:04o}", a.mode, b.mode));
  if (what.owner && !same_owner) found.push_back(fmt::format("owner: {}:{}, {}:{}", a.uid, a.gid, b.uid, b.gid));
  if (what.times && a.mtime != b.mtime)
    found.push_back(fmt::format("mtime: {}, {}", time_text(a.mtime), time_text(b.mtime)));
}

core::Entry entry_of(const Place& place, const struct stat& status, const std::string& shown) {
  core::Entry entry;
  entry.path = place.path;
  entry.type = type_of(status.st_mode);
  entry.mode = status.st_mode & 07777U;
  entry.uid = status.st_uid;
  entry.gid = status.st_gid;
  entry.mtime = timestamp(status.st_mtim);
  if (entry.type == Type::kFile) entry.size = status.st_size;
  if (entry.type == Type::kCharDevice || entry.type == Type::kBlockDevice) entry.device = status.st_rdev;
  if (entry.type == Type::kSymlink) {
    std::array<char, PATH_MAX + 1> target{};
    const ssize_t size =
        readlinkat(folder_of(place, shown)->fd.get(), leaf(place).c_str(), target.data(), target.size());
    if (size < 0) throw base::system_error(Kind::kSource, shown, errno, "can't be read");
    entry.link.assign(target.data(), static_cast<std::size_t>(size));
  }
  return entry;
}

std::vector<core::Attribute> attributes_of(const Place& place, const std::string& shown) {
  if (place.path.empty()) return read_attributes(folder_of(place, shown)->fd.get(), {}, shown);
  return read_attributes(folder_of(place, shown)->fd.get(), leaf(place), shown);
}

void compare_attributes(const std::vector<core::Attribute>& a, const std::vector<core::Attribute>& b,
                        std::vector<std::string>& found) {
  auto left = a.begin();
  auto right = b.begin();
  while (left != a.end() || right != b.end()) {
    if (right == b.end() || (left != a.end() && left->name < right->name)) {
      found.push_back(fmt::format("attribute: {} only in the first", base::printable((left++)->name)));
    } else if (left == a.end() || right->name < left->name) {
      found.push_back(fmt::format("attribute: {} only in the second", base::printable((right++)->name)));
    } else {
      if (left->value != right->value)
        found.push_back(fmt::format("attribute: {} differs", base::printable(left->name)));
      ++left;
      ++right;
    }
  }
}

std::int64_t first_difference(const Place& a, const Place& b, std::int64_t offset, std::int64_t length,
                              const std::string& shown_a, const std::string& shown_b) {
  const base::Fd one = open_file(a, shown_a);
  const base::Fd two = open_file(b, shown_b);
  std::vector<std::byte> left(static_cast<std::size_t>(std::min(length, kBuffer)));
  std::vector<std::byte> right(left.size());
  const std::int64_t end = offset + length;
  while (offset < end) {
    if (base::interrupted() != 0) throw base::Error(Kind::kSource, shown_a, EINTR, "reading was interrupted");
    if (length > kBuffer) {
      offset = std::min(next_data(one.get(), offset, end), next_data(two.get(), offset, end));
      if (offset >= end) break;
    }
    const auto part = static_cast<std::size_t>(std::min(kBuffer, end - offset));
    const std::size_t got_a = read_at(one.get(), std::span(left).first(part), offset, shown_a);
    const std::size_t got_b = read_at(two.get(), std::span(right).first(part), offset, shown_b);
    const auto both = static_cast<std::ptrdiff_t>(std::min(got_a, got_b));
    const auto differ = std::mismatch(left.begin(), left.begin() + both, right.begin());
    if (differ.first != left.begin() + both || got_a != got_b) return offset + (differ.first - left.begin());
    if (got_a < part) break;
    offset += static_cast<std::int64_t>(part);
    base::note_activity();
  }
  return -1;
}

}  // namespace argosy::file
