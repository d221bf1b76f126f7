#include "file/share_in_place.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <span>
#include <utility>
#include <vector>

#include "base/activity.h"
#include "base/fd.h"
#include "base/interrupt.h"
#include "file/digest_file.h"
#include "file/stripe_workplace.h"
#include "file/temporary.h"

namespace argosy::file {

namespace {

bool read_all(int fd, std::int64_t offset, std::span<std::byte> into) {
  for (std::size_t done = 0; done < into.size();) {
    const ssize_t got = pread(fd, into.data() + done, into.size() - done, offset + static_cast<off_t>(done));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    done += static_cast<std::size_t>(got);
  }
  return true;
}

class Share {
 public:
  Share(std::string path, const core::StripeManifest& manifest, std::uint32_t worker)
      : path_(std::move(path)), manifest_(manifest), stripe_(manifest.stripe()), worker_(worker) {}

  bool has_table() {
    const std::int64_t bytes = stripe_.rows() * static_cast<std::int64_t>(core::kRowBytes);
    table_ = open_file(core::kTableName, bytes);
    return table_.valid() && digest_of_fd(table_.get(), bytes) == manifest_.table_digest;
  }

  bool has_chunks(bool contents) {
    const bool one_file = manifest_.layout == core::StripeLayout::kStripe;
    if (one_file) share_ = open_file(core::share_name(worker_), stripe_.bytes_of(worker_));
    if (one_file && !share_.valid()) return false;
    if (one_file && !contents) return true;
    for (std::int64_t row = 0; row < stripe_.rows(); ++row) {
      const core::Cell cell = stripe_.cell(row);
      if (stripe_.worker_of(cell) != worker_) continue;
      base::Fd chunk;
      if (!one_file) chunk = open_file(core::chunk_name(cell), cell.length);
      if (!one_file && !chunk.valid()) return false;
      if (contents && !is_right(row, cell, one_file ? share_ : chunk)) return false;
      base::note_activity();
      if (base::interrupted() != 0) return false;
    }
    return true;
  }

 private:
  // Not valid where it is not a file of that size.
  base::Fd open_file(const std::string& name, std::int64_t bytes) const {
    base::Fd fd(::open((path_ + '/' + name).c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK));
    struct stat status = {};
    if (!fd.valid() || fstat(fd.get(), &status) != 0 || !S_ISREG(status.st_mode) || status.st_size != bytes) return {};
    return fd;
  }

  bool is_right(std::int64_t number, const core::Cell& cell, const base::Fd& fd) {
    std::array<std::byte, core::kRowBytes> bytes{};
    if (!read_all(table_.get(), number * static_cast<std::int64_t>(core::kRowBytes), bytes)) return false;
    const auto row = core::decode_row(bytes, number, manifest_.key());
    if (!row || row->holder != worker_ || row->position != stripe_.position_of(cell)) return false;
    const bool one_file = manifest_.layout == core::StripeLayout::kStripe;
    const std::int64_t begin = one_file ? static_cast<std::int64_t>(row->position) * manifest_.chunk_size : 0;
    base::Digest sum;
    for (std::int64_t at = 0; at < cell.length; at += base::kLeafSize) {
      data_.resize(static_cast<std::size_t>(std::min(base::kLeafSize, cell.length - at)));
      if (!read_all(fd.get(), begin + at, data_)) return false;
      // Pieces are counted from the chunk's start (doc/stripe_format.md).
      sum += base::digest_of(data_, (cell.offset / base::kLeafSize) * base::kLeafSize + at);
    }
    return sum == row->digest;
  }

  std::string path_;
  const core::StripeManifest& manifest_;
  core::Stripe stripe_;
  std::uint32_t worker_;
  base::Fd table_;
  base::Fd share_;  // layout stripe
  std::vector<std::byte> data_;
};

}  // namespace

std::optional<core::StripeManifest> share_in_place(const std::string& path, std::uint32_t worker, bool contents,
                                                   std::string& text) {
  const std::size_t slash = path.rfind('/');
  const std::string workplace = path.substr(0, slash + 1) + stripe_name(path.substr(slash + 1));
  if (faccessat(AT_FDCWD, workplace.c_str(), F_OK, AT_SYMLINK_NOFOLLOW) == 0) return std::nullopt;
  std::string why;
  auto manifest = read_manifest(AT_FDCWD, path, text, why);
  if (!manifest || !manifest->failed.empty() || manifest->moved != 0) return std::nullopt;
  Share share(path, *manifest, worker);
  if (!share.has_table() || !share.has_chunks(contents)) return std::nullopt;
  return manifest;
}

}  // namespace argosy::file
