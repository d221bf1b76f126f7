#include "file/disk.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>

#include "base/activity.h"
#include "base/error.h"

namespace argosy::file {

using base::Kind;

std::int64_t read_up_to(int fd, std::int64_t offset, std::span<std::byte> into) {
  std::size_t done = 0;
  while (done < into.size()) {
    const ssize_t got = pread(fd, into.data() + done, into.size() - done, offset + static_cast<off_t>(done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return -1;
    if (got == 0) break;
    done += static_cast<std::size_t>(got);
    base::note_activity();
  }
  return static_cast<std::int64_t>(done);
}

void write_at(int fd, std::int64_t offset, std::span<const std::byte> data, const std::string& shown) {
  while (!data.empty()) {
    const ssize_t put = pwrite(fd, data.data(), data.size(), offset);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) throw base::system_error(Kind::kDestination, shown, errno, "can't be written");
    data = data.subspan(static_cast<std::size_t>(put));
    offset += put;
    base::note_activity();
  }
}

void take_room(int fd, std::int64_t bytes, const std::string& shown) {
  if (bytes == 0) return;
  int error_number = 0;
  do {
    error_number = posix_fallocate(fd, 0, bytes);
  } while (error_number == EINTR);
  if (error_number == 0 || error_number == EOPNOTSUPP || error_number == EINVAL) return;
  throw base::system_error(Kind::kDestination, shown, error_number, fmt::format("no room for {} bytes", bytes));
}

void check_room(int fd, std::int64_t bytes, const std::string& shown) {
  struct statvfs space = {};
  if (fstatvfs(fd, &space) != 0) throw base::system_error(Kind::kDestination, shown, errno, "statvfs");
  if (space.f_blocks == 0) return;
  const auto blocks = geteuid() == 0 ? space.f_bfree : space.f_bavail;
  std::int64_t room = 0;
  if (__builtin_mul_overflow(blocks, space.f_frsize, &room) || room >= bytes) return;
  throw base::system_error(Kind::kDestination, shown, ENOSPC,
                           fmt::format("{} bytes are needed, {} are free", bytes, room));
}

void close_written(base::Fd& fd, bool durable, const std::string& shown) {
  if (durable && fsync(fd.get()) != 0) throw base::system_error(Kind::kDestination, shown, errno, "fsync");
  // A network file system may report a failed write only here.
  if (const int error_number = fd.close(); error_number != 0) {
    throw base::system_error(Kind::kDestination, shown, error_number, "closing failed");
  }
}

}  // namespace argosy::file
