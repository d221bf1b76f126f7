#include "file/digest_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <span>
#include <vector>

#include "base/activity.h"
#include "base/fd.h"
#include "base/interrupt.h"

namespace argosy::file {

std::optional<base::Digest> digest_of_fd(int fd, std::int64_t length) {
  std::vector<std::byte> leaf(static_cast<std::size_t>(base::kLeafSize));
  base::Digest sum;
  std::int64_t offset = 0;
  while (offset < length) {
    if (base::interrupted() != 0) return std::nullopt;
    const auto part = std::span(leaf).first(static_cast<std::size_t>(std::min(base::kLeafSize, length - offset)));
    std::size_t done = 0;
    while (done < part.size()) {
      const auto rest = part.subspan(done);
      const ssize_t got = pread(fd, rest.data(), rest.size(), offset + static_cast<off_t>(done));
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) return std::nullopt;
      done += static_cast<std::size_t>(got);
    }
    sum += base::digest_of(part, offset);
    offset += static_cast<std::int64_t>(part.size());
    base::note_activity();
  }
  return base::close_digest(sum, length);
}

std::optional<base::Digest> digest_of_file(const std::string& path, std::int64_t length) {
  const base::Fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
  return fd.valid() ? digest_of_fd(fd.get(), length) : std::nullopt;
}

}  // namespace argosy::file
