#include "file/writer.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <utility>

#include "base/activity.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/interrupt.h"
#include "file/digest_file.h"
#include "file/disk.h"
#include "file/temporary.h"

namespace argosy::file {

namespace {

using base::Kind;
using core::Type;

// A file of less is written in one go and, beneath a folder that is moved, without a name.
constexpr std::int64_t kNamelessMost = 1 << 20;
// A folder of fewer files is filled itself.
constexpr std::size_t kLeastStaged = 4;

base::Error failure(const std::string& shown, const char* what) {
  return base::system_error(Kind::kDestination, shown, errno, what);
}

bool has_mtime(const struct stat& status, const core::Entry& entry) {
  return status.st_mtim.tv_sec == entry.mtime.seconds && status.st_mtim.tv_nsec == entry.mtime.nanoseconds;
}

// The very file that the source is, seen here through the same file system: no two files agree in all of these.
bool is_source_itself(const struct stat& status, const core::Entry& entry) {
  return status.st_ino == entry.inode && has_mtime(status, entry) && status.st_ctim.tv_sec == entry.ctime.seconds &&
         status.st_ctim.tv_nsec == entry.ctime.nanoseconds;
}

std::string leaf(const std::string& path) { return std::string(name_of(path)); }

// Its owner opens it for its metadata, also where its mode lets nobody read it.
base::Fd open_in_place(int folder, const std::string& name) {
  base::Fd fd(openat(folder, name.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK));
  if (fd.valid() || errno != EACCES) return fd;
  const base::Fd itself(openat(folder, name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
  const std::string path = fmt::format("/proc/self/fd/{}", itself.get());
  if (!itself.valid() || chmod(path.c_str(), S_IRUSR | S_IWUSR) != 0) return {};
  return base::Fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
}

}  // namespace

Writer::Writer(const Folder* folder, Settings settings)
    : folder_(folder),
      settings_(std::move(settings)),
      mask_(file_creation_mask()),
      user_(geteuid()),
      group_(getegid()) {
  if (folder_ != nullptr) folders_.emplace(folder_->fd());
}

Writer::~Writer() {
  // The job has failed, or else nothing is left. What has a journal stays for the next run.
  for (const auto& file : unsynced_) remove_part(*file);
  if (stage_) settle(*stage_);
  while (!targets_.empty()) {
    if (targets_.begin()->second->journal && !distrusted_) {
      targets_.erase(targets_.begin());
    } else {
      discard(targets_.begin()->first);
    }
  }
}

core::Examination Writer::inspect(const core::Page& page) {
  core::Examination found;
  found.wanted.assign(page.entries.size(), false);
  found.only_asked = settings_.only_ask;
  check_names(page);
  for (std::size_t i = 0; i < page.entries.size(); ++i) {
    const core::Entry& told = page.entries[i];
    if (!told.exists()) continue;
    if (folder_ == nullptr && !settings_.only_ask)
      throw base::Error(Kind::kIntegrity, told.path, 0, "comes although no source could be read");
    if (counts_as_refused(told)) {
      found.failed.push_back(static_cast<std::uint32_t>(i));
      continue;
    }
    try {
      inspect_one(page, i, found);
    } catch (const base::Error& error) {
      found.failed.push_back(static_cast<std::uint32_t>(i));
      const bool holds_others = told.type == Type::kFolder;
      // Told by finish(), with how many entries it takes along.
      if (holds_others) {
        const std::lock_guard lock(mutex_);
        refused_.emplace(name_here(told), Refused{error.failure()});
      }
      if (told.type == Type::kFile) note_failed(name_here(told));
      if (!holds_others || settings_.only_ask) found.failures.push_back(error.failure());
    }
    base::note_activity();
  }
  if (!settings_.only_ask) check_space(page, found);
  return found;
}

// Nothing takes the place of a lock or of a journal, nor another name of one.
void Writer::check_names(const core::Page& page) {
  for (const core::Entry& entry : page.entries) {
    if (!entry.exists()) continue;
    if (is_own_name(name_of(entry.path)) || (entry.type == Type::kHardLink && is_own_name(name_of(entry.link))))
      throw base::Error(Kind::kIntegrity, entry.path, 0, "is refused: its name is one of argosy's own");
  }
}

void Writer::inspect_one(const core::Page& page, std::size_t at, core::Examination& found) {
  const core::Entry& told = page.entries[at];
  if (!settings_.only_ask) lock_tree(told);
  if (settings_.publish && folder_ != nullptr && is_shown_already(told)) return compare_with_shown(page, at, found);
  if (settings_.only_ask) {
    found.wanted[at] = would_change(told);
    return;
  }
  const core::Entry moved = settings_.publish ? staged(told) : core::Entry{};
  const core::Entry& entry = settings_.publish ? moved : told;
  stage_from(page, at, entry);
  if (entry.type == Type::kFile) {
    std::vector<core::Part> held;
    found.wanted[at] = wants_file(page, page.first + at, entry, held);
    if (!held.empty()) found.held.push_back({static_cast<std::uint32_t>(at), std::move(held)});
    return;
  }
  const Done done = make(page.first + at, entry);
  if (entry.type == Type::kHardLink) return;  // counted when it is made
  ++(entry.type == Type::kFolder ? found.folders : found.links_and_specials);
  if (done == Done::kInPlace) ++found.in_place;
}

// What is named by itself is refused before anything moves where it has no room, rather than when the disk is full.
// What is held of it is there already, and holes take nothing.
void Writer::check_space(const core::Page& page, core::Examination& found) {
  std::int64_t bytes = 0;
  std::vector<std::uint32_t> files;
  for (std::uint32_t i = 0; i < page.entries.size(); ++i) {
    const core::Entry& entry = page.entries[i];
    if (!found.wanted[i] || is_beneath(entry) || entry.sparse || entry.size == 0) continue;
    files.push_back(i);
    if (__builtin_add_overflow(bytes, entry.size, &bytes)) bytes = INT64_MAX;
  }
  for (const core::Held& held : found.held) {
    if (std::find(files.begin(), files.end(), held.entry) != files.end()) bytes -= held.ranges().bytes();
  }
  if (files.empty()) return;
  try {
    check_room(folder_->path(), bytes);
  } catch (const base::Error& error) {
    found.failures.push_back(error.failure());
    for (const std::uint32_t i : files) {
      found.wanted[i] = false;
      found.failed.push_back(i);
      discard(page.first + i);
    }
    std::erase_if(found.held, [&](const core::Held& held) { return !found.wanted[held.entry]; });
  }
}

// The folder that is to hold `path`. An honest manifest names each folder before what is in it, and it was made then:
// that it is no folder now is damage, or somebody's trap.
std::shared_ptr<const OpenFolder> Writer::parent(const std::string& path) {
  const std::string folder(parent_of(path));
  const std::string shown = this->shown(path);
  // It may be there all the same, as another run's.
  if (is_in_refused_folder(folder)) throw base::Error(Kind::kDestination, shown, 0, "its folder could not be had");
  auto open = folders_->open(folder);
  if (open) return open;
  const int error_number = errno;
  if (error_number == ENOTDIR || error_number == ELOOP || error_number == EXDEV) {
    throw base::system_error(Kind::kIntegrity, shown, error_number, "refused: what should be its folder is none");
  }
  throw base::system_error(Kind::kDestination, shown, error_number, "its folder can't be opened");
}

bool Writer::is_in_refused_folder(const std::string& folder) {
  const std::lock_guard lock(mutex_);
  if (refused_.empty()) return false;
  for (std::string_view above = folder; !above.empty(); above = parent_of(above)) {
    if (refused_.contains(std::string(above))) return true;
  }
  return false;
}

// True where it lies in such a folder: its own failure would say nothing new, so it is counted.
bool Writer::counts_as_refused(const core::Entry& entry) {
  const std::lock_guard lock(mutex_);
  if (refused_.empty()) return false;
  const std::string path = name_here(entry);
  for (std::string_view above = parent_of(path); !above.empty(); above = parent_of(above)) {
    const auto found = refused_.find(std::string(above));
    if (found == refused_.end()) continue;
    ++found->second.below;
    return true;
  }
  return false;
}

// One run at a time on a tree. A source that is a single file has a lock of its own when it is written.
void Writer::lock_tree(const core::Entry& entry) {
  if (entry.type != Type::kFolder || is_beneath(entry)) return;
  try {
    trees_.try_emplace(entry.path, folder_->fd(), lock_name(entry.path), shown(entry));
    if (!settings_.publish) show_left_tree(folder_->fd(), entry.path);
  } catch (const base::Error& error) {
    const int error_number = error.failure().error_number;
    if (error_number != EROFS && error_number != EACCES) throw;
    // All may be in place, or there may be a right to write in the tree: then it is the tree that is locked.
    if (!lock_folder(folder_->fd(), entry.path, shown(entry))) throw;
  }
}

// A tree is locked by itself too, for a run that knows it as its DIR, and not by its name. False where that can't be.
bool Writer::lock_folder(int above, const std::string& name, const std::string& shown) {
  base::Fd folder(openat(above, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  struct stat status = {};
  if (!folder.valid() || fstat(folder.get(), &status) != 0) return false;
  const auto is_it = [&](const LockedFolder& one) { return one.device == status.st_dev && one.inode == status.st_ino; };
  if (std::any_of(locked_folders_.begin(), locked_folders_.end(), is_it)) return true;
  if (flock(folder.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return false;
    throw base::Error(Kind::kDestination, shown, EBUSY, "in use by another run");
  }
  locked_folders_.push_back({status.st_dev, status.st_ino, std::move(folder)});
  return true;
}

// Whether all that is in the folder of this entry stands in this page, and is worth a stage. A listing has what is in a
// folder side by side; an entry of another folder tells that it was all.
bool Writer::can_stage(const core::Page& page, std::size_t first) const {
  if (!settings_.stages || settings_.fsync || settings_.only_ask) return false;
  const std::string_view above = parent_of(page.entries[first].path);
  if (parent_of(above).empty()) return false;  // the name is that of a tree of --publish
  std::size_t files = 0;
  for (std::size_t i = first; i < page.entries.size(); ++i) {
    const core::Entry& entry = page.entries[i];
    if (parent_of(entry.path) != above) return files >= kLeastStaged;
    if (entry.type == Type::kHardLink || !entry.exists()) continue;
    if (entry.type != Type::kFile || entry.size >= kNamelessMost) return false;
    ++files;
  }
  return false;
}

// Called for each entry, in their order.
void Writer::stage_from(const core::Page& page, std::size_t first, const core::Entry& entry) {
  const std::string_view above = parent_of(entry.path);
  if (above == listed_folder_) return;
  listed_folder_ = above;
  if (stage_) settle(*std::exchange(stage_, nullptr));
  if (!marks_.has(listed_folder_, FolderMarks::kFresh) || !can_stage(page, first)) return;
  // A manifest that lists a folder again, which no honest one does, must not take its stage for a leftover.
  if (!marks_.set(listed_folder_, FolderMarks::kStaged)) return;
  stage_ = Stage::make(parent(listed_folder_), listed_folder_);
}

// One thing less that its stage waits for.
void Writer::settle(Stage& stage) {
  if (!stage.settled()) return;
  try {
    stage.show(shown(stage.path()));
  } catch (const base::Error& error) {
    const Stage::Left left = stage.left();
    const std::lock_guard lock(mutex_);
    finished_.failures.add(error.failure());
    finished_.files_lost += left.files;
    finished_.bytes_lost += left.bytes;
  }
  folders_->forget(stage.path());
}

// A run that was killed may have left files beside the folder `above`.
void Writer::look_for_stage(const std::string& above) {
  if (above == looked_beside_) return;
  forget_left_stage();
  looked_beside_ = above;
  if (!settings_.stages || parent_of(above).empty()) return;
  left_stage_above_ = parent(above);
  left_stage_ = open_left_stage(*left_stage_above_, above);
}

void Writer::forget_left_stage() {
  if (left_stage_) remove_left_stage(*left_stage_above_, *left_stage_, looked_beside_);
  left_stage_ = left_stage_above_ = nullptr;
  looked_beside_.clear();
}

// What is whole there gets its name.
bool Writer::rescue(const core::Entry& entry, const OpenFolder& folder, struct stat& status) {
  const std::string name = leaf(entry.path);
  return left_stage_ && fstatat(left_stage_->fd.get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0 &&
         is_in_place(entry, *left_stage_, status) &&
         renameat(left_stage_->fd.get(), name.c_str(), folder.fd.get(), name.c_str()) == 0;
}

bool Writer::wants_file(const core::Page& page, std::uint64_t index, const core::Entry& entry,
                        std::vector<core::Part>& held) {
  const std::string_view above = parent_of(entry.path);
  struct stat status = {};
  const bool fresh = !above.empty() && marks_.has(above, FolderMarks::kFresh);
  const auto folder = fresh ? nullptr : parent(entry.path);
  bool exists = !fresh && fstatat(folder->fd.get(), leaf(entry.path).c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0;
  if (!fresh) look_for_stage(std::string(above));
  if (!exists && !fresh) exists = rescue(entry, *folder, status);
  if (exists && is_in_place(entry, *folder, status)) {
    const bool same = has_metadata(entry, *folder, status);
    // Moved anew where other names would change with it.
    if (same || !has_other_names(page, entry, status)) {
      if (!same) renew_metadata(entry, *folder, status);
      if (is_journalled(entry)) tidy(entry, *folder);
      put_in_place_in_manifest(entry, *folder);
      return false;
    }
  }
  auto target = std::make_shared<Target>();
  target->entry = entry;
  target->shown = shown(entry);
  target->replaces = exists;
  target->nameless = is_beneath(entry) && !entry.open_ended && entry.size < kNamelessMost;
  if (folder && !target->nameless && is_journalled(entry)) {
    look_for_journal(*target, *folder);
    held = target->recovered.parts;
  }
  if (stage_) stage_->expect();
  target->stage = stage_;
  const std::lock_guard lock(mutex_);
  targets_.emplace(index, std::move(target));
  return true;
}

bool Writer::is_journalled(const core::Entry& entry) const {
  return settings_.journals && !entry.open_ended && entry.size >= kJournalled;
}

// What an earlier run has written of it need not come again. With the lock nobody else writes it meanwhile.
void Writer::look_for_journal(Target& target, const OpenFolder& folder) {
  const std::string name = leaf(target.entry.path);
  if (faccessat(folder.fd.get(), journal_name(name).c_str(), F_OK, AT_SYMLINK_NOFOLLOW) != 0) return;
  target.folder = parent(target.entry.path);
  target.lock = std::make_unique<Lock>(target.folder->fd.get(), lock_name(name), target.shown);
  target.recovered = recover(folder.fd.get(), name, target.entry);
  // Of no use to anybody, it makes room.
  if (target.recovered.parts.empty()) static_cast<void>(unlinkat(folder.fd.get(), temporary_name(name).c_str(), 0));
}

// A run that was killed right after it had put the file in place leaves its lock, and perhaps the journal.
void Writer::tidy(const core::Entry& entry, const OpenFolder& folder) {
  const std::string name = leaf(entry.path);
  if (faccessat(folder.fd.get(), lock_name(name).c_str(), F_OK, AT_SYMLINK_NOFOLLOW) != 0) return;
  try {
    const Lock lock(folder.fd.get(), lock_name(name), shown(entry));
    static_cast<void>(unlinkat(folder.fd.get(), temporary_name(name).c_str(), 0));
    static_cast<void>(unlinkat(folder.fd.get(), journal_name(name).c_str(), 0));
  } catch (const base::Error&) {
    // Whoever has the lock tidies up itself, and a leftover does no harm.
  }
}

bool Writer::is_in_place(const core::Entry& entry, const OpenFolder& parent, const struct stat& status) const {
  if (entry.open_ended || !S_ISREG(status.st_mode) || status.st_size != entry.size) return false;
  if (is_source_itself(status, entry)) return true;
  if (!settings_.leave_same) return false;
  if (!settings_.checksum) return has_mtime(status, entry);
  if (!entry.digest) return false;
  const base::Fd fd(openat(parent.fd.get(), leaf(entry.path).c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK));
  return fd.valid() && digest_of_fd(fd.get(), entry.size) == entry.digest;
}

// Whether what is in place lacks nothing that this process could give it.
bool Writer::has_metadata(const core::Entry& entry, const OpenFolder& parent, const struct stat& status) {
  if (is_source_itself(status, entry)) return true;
  const Metadata& what = settings_.metadata;
  if (what.times && !has_mtime(status, entry)) return false;
  if (!same_owner(status, entry, what) || !same_mode(status, entry, what)) return false;
  if (!what.attributes) return true;
  try {
    return same_attributes(read_attributes(parent.fd.get(), leaf(entry.path), shown(entry)), entry.attributes);
  } catch (const base::Error&) {
    return false;  // whoever sets them says why they can't be had
  }
}

// Whether a file in place is also something that the source does not give these names, such as a snapshot's. Of the
// source's other names those on the same page are known; where there are more, the file is moved anew in vain.
bool Writer::has_other_names(const core::Page& page, const core::Entry& entry, const struct stat& status) {
  nlink_t names = 1;
  if (status.st_nlink == names) return false;
  for (const core::Entry& other : page.entries) {
    if (other.type != Type::kHardLink || other.link != entry.path) continue;
    if (link_is_there({other.path, entry.path})) ++names;
  }
  return status.st_nlink != names;
}

// The data is in place; what else has changed is set without moving it.
void Writer::renew_metadata(const core::Entry& entry, const OpenFolder& parent, struct stat status) {
  const mode_t mode = status.st_mode & 07777U;
  const std::pair was(status.st_dev, status.st_ino);
  const base::Fd fd = open_in_place(parent.fd.get(), leaf(entry.path));
  if (!fd.valid() || fstat(fd.get(), &status) != 0) throw failure(shown(entry), "its metadata can't be set");
  if (std::pair(status.st_dev, status.st_ino) != was)
    throw base::Error(Kind::kDestination, shown(entry), 0, "is another file by now: its metadata is not set");
  core::Entry told = entry;
  Metadata what = settings_.metadata;
  if (!what.mode && (status.st_mode & 07777U) != mode) {
    told.mode = mode;
    what.mode = true;
  }
  lacks(file::set_metadata(fd.get(), status, told, what, false, shown(entry)));
}

void Writer::lacks(std::optional<base::Failure> failure) {
  if (!failure) return;
  const std::lock_guard lock(mutex_);
  finished_.failures.add(std::move(*failure));
}

}  // namespace argosy::file
