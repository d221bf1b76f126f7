#include "file/share_store.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>
#include <vector>

#include "base/error.h"
#include "file/disk.h"
#include "file/folders.h"
#include "file/stripe_workplace.h"
#include "file/temporary.h"

namespace argosy::file {

namespace {

using base::Kind;

base::Error failure(const std::string& shown, const char* what) {
  return base::system_error(Kind::kDestination, shown, errno, what);
}

}  // namespace

ShareStore::ShareStore(const Folder& folder, const std::string& name, Settings settings)
    : folder_(folder),
      settings_(std::move(settings)),
      target_(name + core::kStripeSuffix),
      workplace_(stripe_name(target_)),
      temporary_(workplace_ + '/' + settings_.generation),
      share_name_(core::share_name(settings_.worker)) {}

ShareStore::~ShareStore() {
  if (!made_ || published_) return;
  remove_stripe_folder(folder_.fd(), temporary_);
  static_cast<void>(unlinkat(folder_.fd(), workplace_.c_str(), AT_REMOVEDIR));
}

std::string ShareStore::shown(const std::string& name) const { return folder_.shown(target_) + '/' + name; }

void ShareStore::prepare(std::int64_t table_bytes, std::int64_t manifest_bytes) {
  const std::string shown = folder_.shown(target_);
  lock_.emplace(folder_.fd(), lock_name(target_), shown);
  struct stat status = {};
  if (fstatat(folder_.fd(), target_.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0) {
    if (!S_ISDIR(status.st_mode)) {
      throw base::system_error(Kind::kDestination, shown, ENOTDIR, "can't be replaced");
    }
    for (const std::string& one : names_in(folder_.fd(), target_)) {
      if (is_stripe_name(one)) continue;
      throw base::Error(Kind::kDestination, shown, EEXIST,
                        fmt::format("holds '{}', which is no part of a stripe; "
                                    "it is not replaced",
                                    base::printable(one)));
    }
  } else if (errno != ENOENT) {
    throw failure(shown, "can't be replaced");
  }
  // What an interrupted commit has left may be the only place of what it is: it stays until this one is in place.
  tidy_workplace(folder_.fd(), workplace_);
  std::vector<std::string> stripes = {target_};
  for (const std::string& left : names_in(folder_.fd(), workplace_)) stripes.push_back(workplace_ + '/' + left);
  for (const std::string& one : stripes) {
    if (auto manifest = read_manifest(folder_.fd(), one)) replaced_.push_back(std::move(*manifest));
  }
  if ((mkdirat(folder_.fd(), workplace_.c_str(), 0777) != 0 && errno != EEXIST) ||
      mkdirat(folder_.fd(), temporary_.c_str(), 0777) != 0) {
    throw failure(shown, "can't be made");
  }
  made_ = true;
  open_folder();
  table_ = create(core::kTableName);
  take_room(table_.get(), table_bytes, this->shown(core::kTableName));
  manifest_ = create(core::kManifestName);
  take_room(manifest_.get(), manifest_bytes, this->shown(core::kManifestName));
}

base::Fd ShareStore::create(const std::string& name) const {
  base::Fd fd(openat(inside_.get(), name.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                     0600U | (settings_.mode & 0666U)));
  if (!fd.valid()) throw failure(shown(name), "can't be written");
  return fd;
}

void ShareStore::open_folder() {
  if (inside_.valid()) return;
  inside_ = base::Fd(openat(folder_.fd(), temporary_.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!inside_.valid()) throw failure(folder_.shown(target_), "can't be written");
}

void ShareStore::open(std::int64_t share_bytes) {
  open_folder();
  // None is taken: that costs as much as a third of the writing, and who finds too little on the way is stood in for by
  // the others, as with any other failure.
  check_room(inside_.get(), share_bytes, shown(share_name_));
  if (settings_.layout == core::StripeLayout::kChunks) return;
  share_ = create(share_name_);
}

void ShareStore::write(const core::Place& place, std::span<const std::byte> data) {
  if (settings_.layout == core::StripeLayout::kChunks) return write_chunk(place, data);
  std::int64_t offset = 0;
  if (__builtin_mul_overflow(place.position, settings_.chunk_size, &offset)) {
    throw base::system_error(Kind::kDestination, shown(share_name_), EFBIG, "can't be written");
  }
  // The kernel writes to one file one at a time, and lets the others spin: here they sleep.
  const std::lock_guard lock(writing_);
  write_at(share_.get(), offset, data, shown(share_name_));
}

void ShareStore::write_chunk(const core::Place& place, std::span<const std::byte> data) {
  core::Cell cell;
  cell.parity = place.parity;
  cell.group = place.group;
  cell.number = place.number;
  const std::string name = core::chunk_name(cell);
  // One that came damaged, or went to somebody else first, may be there already.
  base::Fd fd(openat(inside_.get(), name.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC,
                     0600U | (settings_.mode & 0666U)));
  if (!fd.valid()) throw failure(shown(name), "can't be written");
  try {
    write_at(fd.get(), 0, data, shown(name));
    close_written(fd, settings_.fsync, shown(name));
  } catch (const base::Error&) {
    static_cast<void>(unlinkat(inside_.get(), name.c_str(), 0));
    throw;
  }
}

void ShareStore::write_table(std::int64_t first_row, std::span<const std::byte> rows) {
  write_at(table_.get(), first_row * static_cast<std::int64_t>(core::kRowBytes), rows, shown(core::kTableName));
}

void ShareStore::finish(bool keep, const std::string& manifest) {
  if (share_.valid()) {
    close_written(share_, settings_.fsync, shown(share_name_));
    if (!keep && unlinkat(inside_.get(), share_name_.c_str(), 0) != 0) {
      throw failure(shown(share_name_), "can't be removed");
    }
  }
  if (table_.valid()) {
    close_written(table_, settings_.fsync, shown(core::kTableName));
    // Longer by what was taken for it, and never right before it has its own length.
    const std::string name = shown(core::kManifestName);
    write_at(manifest_.get(), 0, std::as_bytes(std::span<const char>(manifest)), name);
    if (ftruncate(manifest_.get(), static_cast<off_t>(manifest.size())) != 0) {
      throw failure(name, "can't be made smaller");
    }
    close_written(manifest_, settings_.fsync, name);
    if (settings_.fsync && fsync(inside_.get()) != 0) throw failure(folder_.shown(target_), "fsync");
  }
}

void ShareStore::publish() {
  put_stripe_in_place(folder_.fd(), temporary_, target_, folder_.shown(target_));
  published_ = true;
}

void ShareStore::take_back() noexcept {
  if (!published_) return;
  const int at = folder_.fd();
  struct stat status = {};
  const bool was_one = fstatat(at, temporary_.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0;
  try {
    if (was_one) {
      put_stripe_in_place(at, temporary_, target_, folder_.shown(target_));
    } else if (renameat(at, target_.c_str(), at, temporary_.c_str()) != 0) {
      return;
    }
    published_ = false;
  } catch (const base::Error&) {
    // What was there before is in the workplace, and stays there.
    return;
  }
}

void ShareStore::clean() noexcept {
  if (!published_) return;
  tidy_workplace(folder_.fd(), workplace_);
  if (settings_.fsync) static_cast<void>(fsync(folder_.fd()));
}

}  // namespace argosy::file
