#include "file/share_store.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "file/disk.h"
#include "file/temporary.h"

namespace argosy::file {

namespace {

using base::Kind;

base::Error failure(const std::string& shown, const char* what) {
  return base::system_error(Kind::kDestination, shown, errno, what);
}

bool all_digits(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

// The names in a folder; throws base::Error.
std::vector<std::string> names_in(int folder, const std::string& name, const std::string& shown) {
  base::Fd fd(openat(folder, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd.valid()) throw failure(shown, "can't be read");
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(fdopendir(fd.get()), closedir);
  if (!stream) throw failure(shown, "can't be read");
  static_cast<void>(fd.release());
  std::vector<std::string> names;
  while (const dirent* entry = readdir(stream.get())) {
    const std::string one = entry->d_name;
    if (one != "." && one != "..") names.push_back(one);
  }
  return names;
}

// A stripe's folder with all that is in it. What can't be removed stays, and is the next run's to replace.
void remove_folder(int folder, const std::string& name) noexcept {
  try {
    for (const std::string& one : names_in(folder, name, name)) {
      static_cast<void>(unlinkat(folder, fmt::format("{}/{}", name, one).c_str(), 0));
    }
  } catch (const base::Error&) {
    return;
  }
  static_cast<void>(unlinkat(folder, name.c_str(), AT_REMOVEDIR));
}

}  // namespace

bool is_stripe_name(const std::string& name) {
  const std::string_view text = name;
  if (text == core::kManifestName || text == core::kTableName) return true;
  if (text.starts_with("share_")) return all_digits(text.substr(6));
  if (text.starts_with("chunk_")) return all_digits(text.substr(6));
  if (!text.starts_with("parity_")) return false;
  const std::size_t second = text.find('_', 7);
  return second != std::string_view::npos && all_digits(text.substr(7, second - 7)) &&
         all_digits(text.substr(second + 1));
}

ShareStore::ShareStore(const Folder& folder, const std::string& name, Settings settings)
    : folder_(folder),
      settings_(settings),
      target_(name + core::kStripeSuffix),
      temporary_(stripe_name(target_)),
      share_name_(settings.layout == core::StripeLayout::kStripe ? core::share_name(settings.worker)
                                                                 : fmt::format(".room_{:04}", settings.worker)) {}

ShareStore::~ShareStore() {
  if (made_ && !published_) remove_folder(folder_.fd(), temporary_);
}

std::string ShareStore::shown(const std::string& name) const { return folder_.shown(target_) + '/' + name; }

void ShareStore::prepare(std::int64_t table_bytes) {
  const std::string shown = folder_.shown(target_);
  lock_.emplace(folder_.fd(), lock_name(target_), shown);
  struct stat status = {};
  if (fstatat(folder_.fd(), target_.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0) {
    if (!S_ISDIR(status.st_mode)) {
      throw base::system_error(Kind::kDestination, shown, ENOTDIR, "can't be replaced");
    }
    for (const std::string& one : names_in(folder_.fd(), target_, shown)) {
      if (is_stripe_name(one)) continue;
      throw base::Error(Kind::kDestination, shown, EEXIST,
                        fmt::format("holds '{}', which is no part of a stripe; "
                                    "it is not replaced",
                                    base::printable(one)));
    }
  } else if (errno != ENOENT) {
    throw failure(shown, "can't be replaced");
  }
  remove_folder(folder_.fd(), temporary_);
  if (mkdirat(folder_.fd(), temporary_.c_str(), 0777) != 0) throw failure(shown, "can't be made");
  made_ = true;
  open_folder();
  table_ = base::Fd(openat(inside_.get(), core::kTableName, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                           0600U | (settings_.mode & 0666U)));
  if (!table_.valid()) throw failure(this->shown(core::kTableName), "can't be written");
  take_room(table_.get(), table_bytes, this->shown(core::kTableName));
}

void ShareStore::open_folder() {
  if (inside_.valid()) return;
  inside_ = base::Fd(openat(folder_.fd(), temporary_.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!inside_.valid()) throw failure(folder_.shown(target_), "can't be written");
}

void ShareStore::open(std::int64_t share_bytes) {
  open_folder();
  share_ = base::Fd(openat(inside_.get(), share_name_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                           0600U | (settings_.mode & 0666U)));
  if (!share_.valid()) throw failure(shown(share_name_), "can't be written");
  try {
    take_room(share_.get(), share_bytes, shown(share_name_));
  } catch (const base::Error&) {
    // What there was of it is given back at once: others of this run may need it.
    static_cast<void>(unlinkat(inside_.get(), share_name_.c_str(), 0));
    share_ = base::Fd();
    throw;
  }
  room_ = share_bytes;
}

void ShareStore::write(const core::Place& place, std::span<const std::byte> data) {
  if (settings_.layout == core::StripeLayout::kChunks) return write_chunk(place, data);
  std::int64_t offset = 0;
  std::int64_t end = 0;
  if (__builtin_mul_overflow(place.position, settings_.chunk_size, &offset) ||
      __builtin_add_overflow(offset, static_cast<std::int64_t>(data.size()), &end)) {
    throw base::system_error(Kind::kDestination, shown(share_name_), EFBIG, "can't be written");
  }
  write_at(share_.get(), offset, data, shown(share_name_));
  const std::lock_guard lock(mutex_);
  end_ = std::max(end_, end);
}

void ShareStore::write_chunk(const core::Place& place, std::span<const std::byte> data) {
  core::Cell cell;
  cell.parity = place.parity;
  cell.group = place.group;
  cell.number = place.number;
  const std::string name = core::chunk_name(cell);
  shrink_room(data.size());
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

// What was taken for all chunks is given back for this one.
void ShareStore::shrink_room(std::size_t bytes) {
  const std::lock_guard lock(mutex_);
  if (room_ == 0) return;
  room_ = std::max<std::int64_t>(0, room_ - static_cast<std::int64_t>(bytes));
  if (ftruncate(share_.get(), room_) != 0) throw failure(shown(share_name_), "can't be made smaller");
}

void ShareStore::write_table(std::int64_t first_row, std::span<const std::byte> rows) {
  write_at(table_.get(), first_row * static_cast<std::int64_t>(core::kRowBytes), rows, shown(core::kTableName));
}

void ShareStore::write_file(const char* name, const std::string& text) const {
  base::Fd fd(openat(inside_.get(), name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                     0600U | (settings_.mode & 0666U)));
  if (!fd.valid()) throw failure(shown(name), "can't be written");
  write_at(fd.get(), 0, std::as_bytes(std::span<const char>(text)), shown(name));
  close_written(fd, settings_.fsync, shown(name));
}

void ShareStore::finish(bool keep, const std::string& manifest) {
  if (share_.valid()) {
    const bool removes = !keep || settings_.layout == core::StripeLayout::kChunks;
    if (!removes && ftruncate(share_.get(), end_) != 0) throw failure(shown(share_name_), "can't be made smaller");
    close_written(share_, settings_.fsync, shown(share_name_));
    if (removes && unlinkat(inside_.get(), share_name_.c_str(), 0) != 0) {
      throw failure(shown(share_name_), "can't be removed");
    }
  }
  if (table_.valid()) {
    close_written(table_, settings_.fsync, shown(core::kTableName));
    write_file(core::kManifestName, manifest);
    if (settings_.fsync && fsync(inside_.get()) != 0) throw failure(folder_.shown(target_), "fsync");
  }
}

void ShareStore::publish() {
  const int at = folder_.fd();
  const std::string shown = folder_.shown(target_);
  // Both names change at once, or none does.
  if (renameat2(at, temporary_.c_str(), at, target_.c_str(), RENAME_EXCHANGE) == 0) {
    published_ = true;
    return;
  }
  if (errno == ENOENT) {
    if (renameat2(at, temporary_.c_str(), at, target_.c_str(), RENAME_NOREPLACE) != 0 &&
        (errno != EINVAL || renameat(at, temporary_.c_str(), at, target_.c_str()) != 0)) {
      throw failure(shown, "can't be put in place");
    }
    published_ = true;
    return;
  }
  if (errno != EINVAL && errno != ENOSYS) throw failure(shown, "can't be put in place");
  // A file system that knows no exchange: for a moment there is no stripe of this name.
  const std::string aside = temporary_ + ".old";
  remove_folder(at, aside);
  if (renameat(at, target_.c_str(), at, aside.c_str()) != 0) {
    if (errno != ENOENT) throw failure(shown, "can't be put in place");
  }
  if (renameat(at, temporary_.c_str(), at, target_.c_str()) != 0) {
    const int error_number = errno;
    static_cast<void>(renameat(at, aside.c_str(), at, target_.c_str()));
    throw base::system_error(Kind::kDestination, shown, error_number, "can't be put in place");
  }
  published_ = true;
  static_cast<void>(renameat(at, aside.c_str(), at, temporary_.c_str()));
}

void ShareStore::take_back() noexcept {
  if (!published_) return;
  published_ = false;
  const int at = folder_.fd();
  if (renameat2(at, temporary_.c_str(), at, target_.c_str(), RENAME_EXCHANGE) == 0) return;
  // There was no old stripe, or the file system knows no exchange.
  remove_folder(at, target_);
  static_cast<void>(renameat(at, temporary_.c_str(), at, target_.c_str()));
}

void ShareStore::clean() noexcept {
  if (!published_) return;
  remove_folder(folder_.fd(), temporary_);
  if (settings_.fsync) static_cast<void>(fsync(folder_.fd()));
}

}  // namespace argosy::file
