#include "file/walk.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>

#include "base/activity.h"
#include "base/interrupt.h"
#include "file/compare.h"
#include "file/temporary.h"

namespace argosy::file {

namespace {

using base::Kind;
using core::Type;

std::string joined(const std::string& folder, std::string_view name) {
  std::string path;
  path.reserve(folder.size() + 1 + name.size());
  path = folder;
  if (!path.empty()) path += '/';
  return path.append(name);
}

std::string target_of(int folder, const std::string& name, const std::string& shown) {
  std::array<char, PATH_MAX + 1> target{};
  const ssize_t size = readlinkat(folder, name.c_str(), target.data(), target.size());
  if (size < 0) throw base::system_error(Kind::kSource, shown, errno, "can't be read");
  return {target.data(), static_cast<std::size_t>(size)};
}

// Of an error that was raised under the manifest's name: what the user calls it is put together only then.
base::Failure named(const base::Error& error, std::string shown) {
  base::Failure failure = error.failure();
  failure.path = std::move(shown);
  return failure;
}

}  // namespace

Walk::Walk(const std::string& path, std::string name, std::string shown, const Selection& selection, Names& names)
    : base_(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)),
      name_(std::move(name)),
      shown_(std::move(shown)),
      selection_(selection),
      names_(names),
      folders_(base_.get()) {
  if (!base_.valid()) throw base::system_error(Kind::kSource, shown_, errno, "can't be read");
}

std::string shown_beneath(const std::string& shown, std::string_view name, std::string_view path) {
  std::string whole = shown;
  if (path.size() <= name.size()) return whole;
  while (whole.ends_with('/')) whole.pop_back();
  return whole.append(path.substr(name.size()));
}

void Walk::fill(core::Entry& entry, const struct stat& status, int folder, const std::string& name,
                std::vector<base::Failure>& failures) {
  entry.type = type_of(status.st_mode);
  entry.mode = status.st_mode & 07777U;
  entry.uid = status.st_uid;
  entry.gid = status.st_gid;
  entry.mtime = timestamp(status.st_mtim);
  entry.ctime = timestamp(status.st_ctim);
  entry.inode = status.st_ino;
  entry.links = status.st_nlink;
  if (entry.type == Type::kCharDevice || entry.type == Type::kBlockDevice) entry.device = status.st_rdev;
  if (entry.type == Type::kSymlink) entry.link = target_of(folder, name, entry.path);
  if (entry.type == Type::kFile) {
    if (status.st_size > core::kLargestFile)
      throw base::system_error(Kind::kSource, entry.path, EFBIG, "can't be read");
    entry.size = status.st_size;
    entry.sparse = status.st_blocks < status.st_size / 512;
  }
  if (!selection_.metadata.attributes || !may_have_attributes(entry.type)) return;
  try {
    entry.attributes = read_attributes(folder, name, entry.path);
  } catch (const base::Error& error) {
    failures.push_back(named(error, shown(entry.path)));
  }
}

std::optional<core::Entry> Walk::top(std::vector<base::Failure>& failures) {
  try {
    struct stat status = {};
    if (fstat(base_.get(), &status) != 0) throw base::system_error(Kind::kSource, shown_, errno, "can't be read");
    device_ = status.st_dev;
    // Where what is in it is added to the destination, that may be the folder itself.
    const FolderId id{status.st_dev, status.st_ino};
    if (!selection_.beneath && std::find(left_out_.begin(), left_out_.end(), id) != left_out_.end())
      throw base::Error(Kind::kSource, shown_, 0, "is the destination, and is not moved into itself");
    if (!selection_.beneath && selection_.filter.leaves_out(name_, true)) return std::nullopt;
    core::Entry entry;
    entry.path = name_;
    fill(entry, status, base_.get(), {}, failures);
    open_listing({}, failures);
    return entry;
  } catch (const base::Error& error) {
    failures.push_back(error.failure());
    return std::nullopt;
  }
}

std::optional<core::Entry> Walk::next(std::vector<base::Failure>& failures) {
  if (!told_root_) {
    told_root_ = true;
    return top(failures);
  }
  while (true) {
    if (!listing_) {
      if (descend(failures)) continue;
      // The walks behind it need descriptors; a file that is still to be read finds its folder again.
      folders_.forget_all();
      return std::nullopt;
    }
    errno = 0;
    const dirent* found = readdir(listing_.get());
    if (found == nullptr) {
      if (errno != 0) {
        failures.push_back(
            base::system_error(Kind::kSource, shown(joined(name_, listed_.path)), errno, "listing failed").failure());
      }
      listing_.reset();
      if (!listed_.folders.empty()) levels_.push_back(std::move(listed_));
      listed_ = {};
      continue;
    }
    const std::string_view name = found->d_name;
    if (name == "." || name == "..") continue;
    if (!seen_.has(name)) {
      if (auto entry = look_at(*found, failures)) {
        seen_.add(name);
        return entry;
      }
    }
    // A great many may be left out one after another.
    base::note_activity();
    if (base::interrupted() != 0) return std::nullopt;
  }
}

bool Walk::descend(std::vector<base::Failure>& failures) {
  while (!levels_.empty()) {
    Level& level = levels_.back();
    std::string path = joined(level.path, level.folders.back());
    level.folders.pop_back();
    if (level.folders.empty()) levels_.pop_back();
    open_listing(std::move(path), failures);
    if (listing_) return true;
  }
  return false;
}

void Walk::open_listing(std::string path, std::vector<base::Failure>& failures) {
  const auto fail = [&](int error_number) {
    failures.push_back(base::system_error(Kind::kSource, shown(path.empty() ? name_ : joined(name_, path)),
                                          error_number, "the folder can't be read")
                           .failure());
  };
  const auto folder = folders_.open(path);
  if (!folder) return fail(errno);
  // A descriptor with a position of its own: others read files through the folder's.
  base::Fd fd(openat(folder->fd.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid()) return fail(errno);
  listing_.reset(fdopendir(fd.get()));
  if (!listing_) return fail(errno);
  static_cast<void>(fd.release());
  listed_name_ = path.empty() ? name_ : joined(name_, path);
  listed_ = {std::move(path), {}};
  seen_.begin();
}

std::optional<core::Entry> Walk::look_at(const dirent& found, std::vector<base::Failure>& failures) {
  const char* name = found.d_name;
  core::Entry entry;
  entry.path = joined(listed_name_, name);
  const int folder = dirfd(listing_.get());
  try {
    const auto leaves_out = [&](bool is_folder) {
      const std::string_view ruled = std::string_view(entry.path).substr(selection_.beneath ? name_.size() + 1 : 0);
      return selection_.filter.leaves_out(ruled, is_folder);
    };
    // Most file systems tell here already: what is left out may be closed to us, or gone by now.
    const bool listed_as_folder = found.d_type == DT_DIR;
    if (found.d_type != DT_UNKNOWN && leaves_out(listed_as_folder)) return std::nullopt;
    struct stat status = {};
    if (fstatat(folder, name, &status, AT_SYMLINK_NOFOLLOW) != 0) {
      throw base::system_error(Kind::kSource, entry.path, errno, "can't be read");
    }
    const bool is_folder = S_ISDIR(status.st_mode);
    if ((found.d_type == DT_UNKNOWN || is_folder != listed_as_folder) && leaves_out(is_folder)) return std::nullopt;
    if (entry.path.size() > core::kLongestPath) {
      throw base::system_error(Kind::kSource, entry.path, ENAMETOOLONG, "can't be read");
    }
    // A run's that is under way, in a folder that it also reads, or left by one: never anybody's data.
    if (is_lock(name) && S_ISREG(status.st_mode)) return std::nullopt;
    if (is_own_name(name)) throw base::Error(Kind::kSource, entry.path, 0, kOwnName);
    const FolderId id{status.st_dev, status.st_ino};
    if (is_folder) {
      if (std::find(left_out_.begin(), left_out_.end(), id) != left_out_.end()) {
        throw base::Error(Kind::kSource, entry.path, 0, "is the destination, and is not moved into itself");
      }
      fill(entry, status, folder, name, failures);
      // Another file system's top is made, as rsync makes it; what is in it stays.
      if (!selection_.one_file_system || status.st_dev == device_) listed_.folders.emplace_back(name);
      return entry;
    }
    links_ = status.st_nlink;
    if (links_ > 1) {
      if (auto first = names_.noted(status)) {
        entry.type = Type::kHardLink;
        entry.link = std::move(*first);
        return entry;
      }
    }
    fill(entry, status, folder, name, failures);
    entry.several = links_ > 1;
    if (entry.several) names_.note(status, entry.path);
    return entry;
  } catch (const base::Error& error) {
    failures.push_back(named(error, shown(entry.path)));
    return std::nullopt;
  }
}

}  // namespace argosy::file
