#include "file/holes.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/digest.h"

namespace argosy::file {

namespace {
// Less than this is read as fast as the kernel can be asked.
constexpr std::int64_t kWorthAsking = 4 * base::kLeafSize;
}  // namespace

std::int64_t Holes::at(std::int64_t offset, std::int64_t length) {
  if (offset < data_until_ || length < kWorthAsking) return 0;
  const off_t data = lseek(fd_, offset, SEEK_DATA);
  // ENXIO: none up to the end, wherever that is by now.
  const bool to_the_end = data < 0 && errno == ENXIO && lseek(fd_, 0, SEEK_END) >= offset + length;
  if (to_the_end || data >= offset + length) return length;
  if (data < 0) {
    data_until_ = INT64_MAX;
    return 0;
  }
  if (data - offset >= base::kLeafSize) return (data - offset) / base::kLeafSize * base::kLeafSize;
  const off_t hole = lseek(fd_, data, SEEK_HOLE);
  data_until_ = hole < 0 ? INT64_MAX : hole;
  return 0;
}

}  // namespace argosy::file
