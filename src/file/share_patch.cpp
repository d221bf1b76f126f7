#include "file/share_patch.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <vector>

#include "base/error.h"
#include "file/disk.h"
#include "file/temporary.h"

namespace argosy::file {

namespace {

using base::Kind;

}  // namespace

SharePatch::SharePatch(const Folder& folder, const core::StripeManifest& manifest, std::optional<std::uint32_t> share,
                       bool fsync)
    : folder_(folder),
      manifest_(manifest),
      share_number_(share),
      fsync_(fsync),
      target_(manifest.file.path + core::kStripeSuffix) {
  const std::string name = folder_.shown(target_);
  lock_.emplace(folder_.fd(), lock_name(target_), name);
  inside_ = base::Fd(openat(folder_.fd(), target_.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!inside_.valid()) throw base::system_error(Kind::kDestination, name, errno, "can't be repaired");
  try {
    table_ = create(core::kTableName);
    if (!share_number_ || manifest_.layout == core::StripeLayout::kChunks) return;
    const std::string share_name = core::share_name(*share_number_);
    share_ = create(share_name);
    take_room(share_.get(), manifest_.stripe().bytes_of(*share_number_), shown(share_name));
  } catch (const base::Error&) {
    // A disk that is full stays as full as it was.
    remove_parts();
    throw;
  }
}

SharePatch::~SharePatch() { remove_parts(); }

void SharePatch::remove_parts() noexcept {
  std::vector<std::string> names = {core::kTableName, core::kManifestName};
  if (share_number_) names.push_back(core::share_name(*share_number_));
  for (const std::string& name : names) {
    if (inside_.valid()) static_cast<void>(unlinkat(inside_.get(), temporary_name(name).c_str(), 0));
  }
}

std::string SharePatch::shown(const std::string& name) const { return folder_.shown(target_) + '/' + name; }

base::Fd SharePatch::create(const std::string& name) const {
  const std::string temporary = temporary_name(name);
  // The lock is ours, so what stands under this name was left by a run that was killed.
  if (unlinkat(inside_.get(), temporary.c_str(), 0) != 0 && errno != ENOENT) {
    throw base::system_error(Kind::kDestination, shown(name), errno, "a leftover can't be removed");
  }
  base::Fd fd(openat(inside_.get(), temporary.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                     0600U | (manifest_.file.mode & 0666U)));
  if (!fd.valid()) throw base::system_error(Kind::kDestination, shown(name), errno, "can't be written");
  return fd;
}

void SharePatch::put_in_place(base::Fd& fd, const std::string& name) {
  close_written(fd, fsync_, shown(name));
  if (renameat(inside_.get(), temporary_name(name).c_str(), inside_.get(), name.c_str()) != 0) {
    throw base::system_error(Kind::kDestination, shown(name), errno, "can't be put in place");
  }
}

void SharePatch::write(const core::Place& place, std::span<const std::byte> data) {
  if (manifest_.layout == core::StripeLayout::kChunks) return write_chunk(place, data);
  const std::string name = core::share_name(place.holder);
  std::int64_t offset = 0;
  if (__builtin_mul_overflow(place.position, manifest_.chunk_size, &offset)) {
    throw base::system_error(Kind::kDestination, shown(name), EFBIG, "can't be written");
  }
  write_at(share_.get(), offset, data, shown(name));
}

void SharePatch::write_chunk(const core::Place& place, std::span<const std::byte> data) {
  core::Cell cell;
  cell.parity = place.parity;
  cell.group = place.group;
  cell.number = place.number;
  const std::string name = core::chunk_name(cell);
  base::Fd fd = create(name);
  try {
    write_at(fd.get(), 0, data, shown(name));
    put_in_place(fd, name);
  } catch (const base::Error&) {
    static_cast<void>(unlinkat(inside_.get(), temporary_name(name).c_str(), 0));
    throw;
  }
}

void SharePatch::write_table(std::int64_t first_row, std::span<const std::byte> rows) {
  write_at(table_.get(), first_row * static_cast<std::int64_t>(core::kRowBytes), rows, shown(core::kTableName));
}

void SharePatch::finish(const std::string& manifest) {
  if (share_.valid()) put_in_place(share_, core::share_name(*share_number_));
  put_in_place(table_, core::kTableName);
  base::Fd fd = create(core::kManifestName);
  write_at(fd.get(), 0, std::as_bytes(std::span<const char>(manifest)), shown(core::kManifestName));
  put_in_place(fd, core::kManifestName);
  if (fsync_ && ::fsync(inside_.get()) != 0) {
    throw base::system_error(Kind::kDestination, folder_.shown(target_), errno, "fsync");
  }
}

}  // namespace argosy::file
