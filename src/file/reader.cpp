#include "file/reader.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <utility>

#include "base/activity.h"
#include "base/digest.h"
#include "base/interrupt.h"
#include "file/digest_file.h"
#include "file/metadata.h"
#include "file/temporary.h"

namespace argosy::file {

namespace {

void fill_from(core::Entry& entry, const struct stat& status) {
  entry.size = status.st_size;
  entry.mode = status.st_mode & 07777U;
  entry.uid = status.st_uid;
  entry.gid = status.st_gid;
  entry.mtime = timestamp(status.st_mtim);
  entry.ctime = timestamp(status.st_ctim);
  entry.inode = status.st_ino;
  entry.sparse = status.st_blocks < status.st_size / 512;
}

// Waits for standard input, which may never come, while the job may be asked to stop.
void wait_readable(int fd) {
  while (true) {
    if (base::interrupted() != 0) throw base::Error(base::Kind::kSource, "-", EINTR, "reading was interrupted");
    pollfd waiting = {fd, POLLIN, 0};
    const int ready = ::poll(&waiting, 1, 100);
    if (ready > 0) return;
    if (ready < 0 && errno != EINTR) throw base::system_error(base::Kind::kSource, "-", errno, "poll");
  }
}

// A file of which the kernel tells no size although it has content, as in /proc.
bool has_hidden_content(const std::string& path) {
  const base::Fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
  char byte = 0;
  return fd.valid() && pread(fd.get(), &byte, 1, 0) > 0;
}

// Below this a file is read in one go, and what is checked when it is closed covers when it was opened.
constexpr std::int64_t kReadAtOnce = 256 * 1024;

}  // namespace

std::string Reader::Item::shown() const {
  if (named == nullptr) return entry.path;
  return beneath ? shown_beneath(named->shown, named->name, entry.path) : named->shown;
}

Reader::Reader(std::vector<Named> files, std::function<base::Fd()> standard_input, Selection selection)
    : files_(std::move(files)),
      standard_input_(std::move(standard_input)),
      selection_(std::move(selection)),
      walks_(files_.size()) {
  for (std::size_t i = 0; i < files_.size(); ++i) by_name_.emplace(files_[i].name, i);
}

// A source that the user named; sets what a destination needs to know where it can't be read.
Reader::Found Reader::look_at(const Named& named) {
  Found found;
  core::Entry& entry = found.entry;
  entry.path = named.name;
  const auto fail = [&](int error_number, const char* what) {
    entry.error_number = error_number;
    failures_.push_back({base::Kind::kSource, named.shown, -1, {}, error_number, what});
    return found;
  };
  if (named.standard_input) {
    entry.open_ended = true;
    entry.mode = 0666U & ~file_creation_mask();
    timespec now{};
    // clock_gettime fails only for a bad clock or address.
    static_cast<void>(clock_gettime(CLOCK_REALTIME, &now));
    entry.mtime = timestamp(now);
    return found;
  }
  struct stat& status = found.status;
  // A source named by a symbolic link is the file behind it, as with cp.
  if (::stat(named.path.c_str(), &status) != 0) {
    entry.error_number = errno;
    if (errno == ENOENT || errno == ENOTDIR) entry.size = core::kMissing;
    failures_.push_back(base::system_error(base::Kind::kSource, named.shown, errno, "can't be read").failure());
    return found;
  }
  if (is_own_name(named.name)) return fail(EINVAL, kOwnName);
  if (S_ISDIR(status.st_mode)) {
    if (!selection_.folders) return fail(EISDIR, "is a folder, and only files are taken");
    entry.type = core::Type::kFolder;
    return found;
  }
  if (!S_ISREG(status.st_mode)) return fail(EINVAL, "is not a regular file or a folder (standard input is -)");
  if (status.st_size > core::kLargestFile) return fail(EFBIG, "can't be read: File too large");
  if (::access(named.path.c_str(), R_OK) != 0) {
    entry.error_number = errno;
    failures_.push_back(base::system_error(base::Kind::kSource, named.shown, errno, "can't be read").failure());
    return found;
  }
  if (status.st_size == 0 && has_hidden_content(named.path)) {
    return fail(EINVAL, "has content, but tells no size: it can be moved through standard input (-)");
  }
  fill_from(entry, status);
  try {
    if (selection_.metadata.attributes) entry.attributes = read_attributes(AT_FDCWD, named.path, named.shown);
  } catch (const base::Error& error) {
    failures_.push_back(error.failure());
  }
  return found;
}

// The entry of a source that is a file; nothing where it is left out.
std::optional<core::Entry> Reader::take_named(std::size_t source) {
  const Named& named = files_[source];
  if (named.path.empty() && !named.standard_input) return std::nullopt;
  Found& found = found_[source];
  links_ = found.status.st_nlink;
  // Whoever takes only files takes each as one.
  if (links_ > 1 && found.entry.readable() && selection_.folders) {
    if (auto first = names_.noted(found.status)) {
      core::Entry link;
      link.path = std::move(found.entry.path);
      link.type = core::Type::kHardLink;
      link.link = std::move(*first);
      return link;
    }
    found.entry.several = true;
    names_.note(found.status, found.entry.path);
  }
  return std::move(found.entry);
}

Reader::Totals Reader::scan(bool digests) {
  digests_ = digests;
  Totals totals;
  for (std::size_t i = 0; i < files_.size(); ++i) {
    Found found = look_at(files_[i]);
    core::Entry& entry = found.entry;
    if (entry.type == core::Type::kFolder) {
      try {
        walks_[i] = std::make_unique<Walk>(files_[i].path, files_[i].name, files_[i].shown, selection_, names_);
        ++totals.folders;
      } catch (const base::Error& error) {
        failures_.push_back(error.failure());
        entry.error_number = error.failure().error_number;
      }
    } else if (selection_.filter.leaves_out(entry.path, false)) {
      files_[i].path.clear();
    }
    if (entry.exists() && !(files_[i].path.empty() && !files_[i].standard_input)) {
      ++totals.files;
      totals.bytes += entry.size;
      totals.open_ended = totals.open_ended || entry.open_ended || walks_[i];
    }
    found_.push_back(std::move(found));
  }
  totals.failures = failures_;
  return totals;
}

void Reader::leave_out(const std::vector<FolderId>& folders) {
  for (const auto& walk : walks_) {
    if (walk) walk->leave_out(folders);
  }
}

core::Listing Reader::next_entries() {
  core::Listing listing;
  listing.failures = std::exchange(failures_, {});
  std::size_t bytes = 0;
  Items items;
  listing.entries.reserve(core::kEntriesAPage);
  while (listing.entries.size() < core::kEntriesAPage && listing_ < files_.size()) {
    if (base::interrupted() != 0) break;
    Walk* walk = walks_[listing_].get();
    std::optional<core::Entry> entry = std::exchange(left_over_, std::nullopt);
    if (!entry && walk != nullptr) {
      entry = walk->next(listing.failures);
      links_ = walk->links();
    } else if (!entry) {
      entry = take_named(listing_);
    }
    if (!entry) {
      ++listing_;
      continue;
    }
    if (digests_ && entry->readable() && !entry->open_ended) {
      const base::Fd fd = open_path(listing_, entry->path);
      if (fd.valid()) entry->digest = digest_of_fd(fd.get(), entry->size);
    }
    bytes += core::encoded_size(*entry);
    if (bytes > core::kPageBytes - 64) {
      left_over_ = std::move(entry);
      break;
    }
    base::note_activity();
    if (entry->readable()) items.emplace_back(listed_, item_for(*entry, listing_, links_));
    if (entry->type == core::Type::kHardLink) {
      keep(std::exchange(items, {}));
      keep_name(*entry, listing_);
    }
    ++listed_;
    listing.entries.push_back(std::move(*entry));
    if (walk == nullptr) ++listing_;
  }
  keep(std::move(items));
  return listing;
}

std::shared_ptr<Reader::Item> Reader::item_for(const core::Entry& entry, std::size_t source,
                                               std::uint64_t links) const {
  auto item = std::make_shared<Item>();
  if (source < files_.size()) item->named = &files_[source];
  item->source = source;
  item->beneath = entry.path.find('/') != std::string::npos;
  item->links = links;
  item->entry = {entry.path, entry.size, entry.sparse, entry.inode, entry.mtime, entry.ctime};
  return item;
}

void Reader::keep(Items&& items) {
  const std::lock_guard lock(mutex_);
  for (auto& [index, item] : items) {
    if (item->links > 1) firsts_.emplace(item->entry.path, item);
    items_.emplace(index, std::move(item));
  }
}

// The file may have to be read under this name, if the first one vanishes.
void Reader::keep_name(const core::Entry& entry, std::size_t source) {
  const std::lock_guard lock(mutex_);
  const auto first = firsts_.find(entry.link);
  if (first != firsts_.end()) first->second->others.emplace_back(source, entry.path);
}

void Reader::adopt(const core::Page& page) {
  Items items;
  for (std::size_t i = 0; i < page.entries.size(); ++i) {
    const core::Entry& entry = page.entries[i];
    if (!entry.readable()) continue;
    const auto found = by_name_.find(entry.path.substr(0, entry.path.find('/')));
    items.emplace_back(page.first + i, item_for(entry, found == by_name_.end() ? files_.size() : found->second, 0));
  }
  keep(std::move(items));
}

// Where another rank walks, the folder is opened here when the first file beneath it is read.
Walk& Reader::walk_of(std::size_t source) {
  const std::lock_guard lock(mutex_);
  std::unique_ptr<Walk>& walk = walks_[source];
  const Named& named = files_[source];
  if (!walk) walk = std::make_unique<Walk>(named.path, named.name, named.shown, selection_, names_);
  return *walk;
}

std::shared_ptr<Reader::Item> Reader::item(std::uint64_t entry) {
  const std::lock_guard lock(mutex_);
  return items_.at(entry);
}

std::shared_ptr<Reader::Item> Reader::opened(std::uint64_t entry) {
  std::shared_ptr<Item> one = item(entry);
  // An exception leaves the flag unset: every extent of a file that can't be opened says why.
  std::call_once(one->opened, [&] { open_file(*one); });
  return one;
}

base::Fd Reader::open_path(std::size_t source, const std::string& path) {
  const Named& named = files_[source];
  // Not blocking: what was a regular file at the scan may be a pipe without a writer by now.
  constexpr int kFlags = O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
  if (path.find('/') == std::string::npos) return base::Fd(openat(AT_FDCWD, named.path.c_str(), kFlags));
  const std::string_view rest = std::string_view(path).substr(named.name.size() + 1);
  const auto folder = walk_of(source).folders().open(parent_of(rest));
  if (!folder) return {};
  return base::Fd(openat(folder->fd.get(), std::string(file::name_of(rest)).c_str(), kFlags | O_NOFOLLOW));
}

// The file of which the first name has vanished; not valid where none is left.
base::Fd Reader::open_other_name(const Item& item) {
  std::vector<std::pair<std::size_t, std::string>> others;
  {
    const std::lock_guard lock(mutex_);
    others = item.others;
  }
  for (const auto& [source, path] : others) {
    base::Fd fd = open_path(source, path);
    struct stat status = {};
    if (fd.valid() && fstat(fd.get(), &status) == 0 && status.st_ino == item.entry.inode) return fd;
  }
  errno = ENOENT;
  return {};
}

void Reader::open_file(Item& item) {
  if (item.standard_input()) {
    item.fd = standard_input_();
    return;
  }
  if (item.named == nullptr) {
    throw base::Error(base::Kind::kSource, item.entry.path, ENOENT, "can't be read: no such source on this rank");
  }
  base::Fd fd = open_path(item.source, item.entry.path);
  if (!fd.valid() && errno == ENOENT) fd = open_other_name(item);
  if (!fd.valid()) throw base::system_error(base::Kind::kSource, item.shown(), errno, "can't be read");
  item.fd = std::move(fd);
  if (item.entry.size < kReadAtOnce) return;
  check_unchanged(item);
  // Readahead is a hint; a file system without it loses nothing but speed.
  static_cast<void>(posix_fadvise(item.fd.get(), 0, 0, POSIX_FADV_SEQUENTIAL));
}

void Reader::check_unchanged(const Item& item) {
  struct stat status = {};
  if (fstat(item.fd.get(), &status) != 0)
    throw base::system_error(base::Kind::kSource, item.shown(), errno, "can't be read");
  const Known& entry = item.entry;
  // A name that comes or goes moves the ctime, and changes nothing of the file.
  const bool ctime_tells = status.st_nlink == (item.links == 0 ? 1 : item.links);
  if (status.st_size != entry.size || status.st_ino != entry.inode || timestamp(status.st_mtim) != entry.mtime ||
      (ctime_tells && timestamp(status.st_ctim) != entry.ctime)) {
    throw base::Error(base::Kind::kSource, item.shown(), 0, "changed while it was read");
  }
}

core::Region Reader::region(std::uint64_t entry, std::int64_t offset, std::int64_t length) {
  const core::Region all_data{false, length};
  if (!item(entry)->entry.sparse) return all_data;
  const std::shared_ptr<Item> one = opened(entry);
  const off_t data = lseek(one->fd.get(), offset, SEEK_DATA);
  // ENXIO: a hole up to the end. A file system that can't tell says so, and then all is data.
  if (data < 0 && errno != ENXIO) return all_data;
  const std::int64_t next = data < 0 ? offset + length : std::min<std::int64_t>(data, offset + length);
  if (next == offset + length) return {true, length};
  // Digests go by leaves: one that has any data is read whole.
  const std::int64_t hole = (next - offset) / base::kLeafSize * base::kLeafSize;
  if (hole > 0) return {true, hole};
  std::int64_t end = data;
  while (end < offset + length) {
    const off_t stop = lseek(one->fd.get(), end, SEEK_HOLE);
    if (stop < 0) return all_data;
    end = offset + (stop - offset + base::kLeafSize - 1) / base::kLeafSize * base::kLeafSize;
    if (end >= offset + length) break;
    const off_t more = lseek(one->fd.get(), end, SEEK_DATA);
    if (more < 0 || more >= end + base::kLeafSize) break;  // a leaf without data: the hole begins here
    end = more;
  }
  return {false, std::min(length, end - offset), true};
}

std::size_t Reader::read(std::uint64_t entry, std::int64_t offset, std::span<std::byte> into) {
  return read_from(*opened(entry), offset, into);
}

std::size_t Reader::read_from(const Item& item, std::int64_t offset, std::span<std::byte> into) {
  const bool standard_input = item.standard_input();
  const int fd = item.fd.get();
  std::size_t done = 0;
  while (done < into.size()) {
    const auto rest = into.subspan(done);
    if (standard_input) wait_readable(fd);
    const ssize_t got = standard_input ? ::read(fd, rest.data(), rest.size())
                                       : ::pread(fd, rest.data(), rest.size(), offset + static_cast<off_t>(done));
    if (got < 0 && (errno == EINTR || (standard_input && errno == EAGAIN))) continue;
    if (got < 0) throw base::system_error(base::Kind::kSource, item.shown(), errno, "reading failed");
    if (got == 0 && standard_input) break;
    if (got == 0) {
      throw base::Error(base::Kind::kSource, item.shown(), 0, "changed while it was read: it became shorter");
    }
    done += static_cast<std::size_t>(got);
    base::note_activity();
  }
  return done;
}

// Each lock and each look at the table costs as much as a system call once two threads want them.
bool Reader::read_whole(std::uint64_t entry, std::span<std::byte> into) {
  std::shared_ptr<Item> one;
  {
    const std::lock_guard lock(mutex_);
    const auto found = items_.find(entry);
    if (found == items_.end() || found->second->entry.sparse || found->second->standard_input()) return false;
    one = std::move(found->second);
    items_.erase(found);
    if (one->links > 1) firsts_.erase(one->entry.path);
  }
  open_file(*one);
  read_from(*one, 0, into);
  check_unchanged(*one);
  return true;
}

std::shared_ptr<Reader::Item> Reader::take(std::uint64_t entry) {
  const std::lock_guard lock(mutex_);
  const auto found = items_.find(entry);
  if (found == items_.end()) return nullptr;
  std::shared_ptr<Item> one = std::move(found->second);
  items_.erase(found);
  if (one->links > 1) firsts_.erase(one->entry.path);
  return one;
}

void Reader::close(std::uint64_t entry) {
  const std::shared_ptr<Item> one = take(entry);
  if (!one) return;
  if (!one->fd.valid() || one->standard_input()) return;
  check_unchanged(*one);
}

}  // namespace argosy::file
