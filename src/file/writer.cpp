#include "file/writer.h"

#include <fcntl.h>
#include <fmt/format.h>
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

}  // namespace

Writer::Writer(const Folder* folder, Settings settings)
    : folder_(folder), settings_(settings), mask_(file_creation_mask()), user_(geteuid()), group_(getegid()) {
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
  check_folders(page);
  for (std::size_t i = 0; i < page.entries.size(); ++i) {
    if (!page.entries[i].exists()) continue;
    if (settings_.only_ask) {
      found.wanted[i] = would_change(page.entries[i]);
      continue;
    }
    const core::Entry& told = page.entries[i];
    if (folder_ == nullptr) throw base::Error(Kind::kIntegrity, told.path, 0, "comes although no source could be read");
    try {
      lock_tree(told);
      const core::Entry moved = settings_.publish ? staged(told) : core::Entry{};
      const core::Entry& entry = settings_.publish ? moved : told;
      stage_from(page, i, entry);
      if (entry.type == Type::kFile) {
        std::vector<core::Part> held;
        found.wanted[i] = wants_file(page.first + i, entry, held);
        if (!held.empty()) found.held.push_back({static_cast<std::uint32_t>(i), std::move(held)});
        continue;
      }
      const Done done = make(page.first + i, entry);
      if (entry.type == Type::kHardLink) continue;  // counted when it is made
      ++(entry.type == Type::kFolder ? found.folders : found.links_and_specials);
      if (done == Done::kInPlace) ++found.in_place;
    } catch (const base::Error& error) {
      // The failures of what is in it would say nothing new; they count all the same.
      if (told.type == Type::kFolder) {
        const std::lock_guard lock(mutex_);
        const std::string top = told.path.substr(0, told.path.find('/'));
        failed_folders_.insert(settings_.publish ? tree_name(top) + told.path.substr(top.size()) : told.path);
      }
      found.failed.push_back(static_cast<std::uint32_t>(i));
      found.failures.push_back(error.failure());
    }
    base::note_activity();
  }
  if (!settings_.only_ask) check_space(page, found);
  return found;
}

// An honest manifest names each folder before what is in it. One that does not, so that a link takes a folder's place,
// is refused before anything is made of its page.
void Writer::check_folders(const core::Page& page) {
  const auto hash = [](std::string_view path) { return base::checksum_of(std::as_bytes(std::span(path))); };
  for (const core::Entry& entry : page.entries) {
    const std::string_view above = parent_of(entry.path);
    if (!above.empty() && !named_folders_.contains(hash(above)))
      throw base::Error(Kind::kIntegrity, entry.path, 0, "is refused: the manifest names no folder for it");
    if (entry.type == Type::kFolder) named_folders_.insert(hash(entry.path));
  }
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

// The name by which the user knows it, whatever it has now.
std::string Writer::shown(const std::string& path) {
  if (!settings_.publish) return folder_->shown(path);
  const std::lock_guard lock(mutex_);
  const auto found = staged_.find(path.substr(0, path.find('/')));
  if (found == staged_.end()) return folder_->shown(path);
  return folder_->shown(found->second + path.substr(found->first.size()));
}

// The entry under the name that it has until all is there.
core::Entry Writer::staged(const core::Entry& entry) {
  core::Entry moved = entry;
  const auto stage = [](std::string& path) {
    const std::string top = path.substr(0, path.find('/'));
    path = tree_name(top) + path.substr(top.size());
  };
  if (!is_beneath(entry) && entry.type == Type::kFolder) {
    struct stat status = {};
    if (fstatat(folder_->fd(), entry.path.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0) {
      throw base::system_error(Kind::kDestination, folder_->shown(entry.path), EEXIST,
                               "--publish is for a folder that is new");
    }
    const std::string name = tree_name(entry.path);
    const std::lock_guard lock(mutex_);
    staged_.emplace(name, entry.path);
  }
  if (is_beneath(entry) || entry.type == Type::kFolder) stage(moved.path);
  if (entry.type == Type::kHardLink) stage(moved.link);
  return moved;
}

void Writer::publish_trees() {
  for (const auto& [name, path] : staged_) {
    if (renameat2(folder_->fd(), name.c_str(), folder_->fd(), path.c_str(), RENAME_NOREPLACE) != 0) {
      throw failure(folder_->shown(path), "can't be shown");
    }
  }
  staged_.clear();
}

// The folder that is to hold `path`. An honest manifest names each folder before what is in it, and it was made then:
// that it is no folder now is damage, or somebody's trap.
std::shared_ptr<const OpenFolder> Writer::parent(const std::string& path) {
  const std::string folder(parent_of(path));
  const std::string shown = this->shown(path);
  // It may be there all the same, as another run's.
  if (is_in_failed_folder(folder)) throw base::Error(Kind::kDestination, shown, 0, "its folder could not be had");
  auto open = folders_->open(folder);
  if (open) return open;
  const int error_number = errno;
  if (error_number == ENOTDIR || error_number == ELOOP || error_number == EXDEV) {
    throw base::system_error(Kind::kIntegrity, shown, error_number, "refused: what should be its folder is none");
  }
  throw base::system_error(Kind::kDestination, shown, error_number, "its folder can't be opened");
}

bool Writer::is_in_failed_folder(const std::string& folder) {
  const std::lock_guard lock(mutex_);
  if (failed_folders_.empty()) return false;
  for (std::string_view above = folder; !above.empty(); above = parent_of(above)) {
    if (failed_folders_.contains(std::string(above))) return true;
  }
  return false;
}

// One run at a time on a tree. A source that is a single file has a lock of its own when it is written.
void Writer::lock_tree(const core::Entry& entry) {
  if (entry.type != Type::kFolder || is_beneath(entry)) return;
  trees_.try_emplace(entry.path, folder_->fd(), lock_name(entry.path), shown(entry));
}

// Whether all that is in the folder of this entry stands in this page, and is worth a stage. A listing has what is in a
// folder side by side; an entry of another folder tells that it was all.
bool Writer::can_stage(const core::Page& page, std::size_t first) const {
  if (settings_.fsync || settings_.only_ask) return false;
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
  if (!fresh_folders_.contains(listed_folder_) || !can_stage(page, first)) return;
  stage_ = Stage::make(parent(listed_folder_), listed_folder_);
}

// One thing less that its stage waits for.
void Writer::settle(Stage& stage) {
  if (!stage.settled()) return;
  try {
    stage.show(shown(stage.path()));
  } catch (const base::Error& error) {
    const std::lock_guard lock(mutex_);
    finished_.failures.push_back(error.failure());
  }
}

// A run that was killed may have left files beside the folder `above`.
void Writer::look_for_stage(const std::string& above) {
  if (above == looked_beside_) return;
  forget_left_stage();
  looked_beside_ = above;
  if (parent_of(above).empty()) return;
  left_stage_above_ = parent(above);
  left_stage_ = open_left_stage(*left_stage_above_, above);
}

void Writer::forget_left_stage() {
  if (left_stage_) remove_left_stage(*left_stage_above_, looked_beside_);
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

bool Writer::wants_file(std::uint64_t index, const core::Entry& entry, std::vector<core::Part>& held) {
  const std::string above(parent_of(entry.path));
  struct stat status = {};
  const bool fresh = !above.empty() && fresh_folders_.contains(above);
  const auto folder = fresh ? nullptr : parent(entry.path);
  bool exists = !fresh && fstatat(folder->fd.get(), leaf(entry.path).c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0;
  if (!fresh) look_for_stage(above);
  if (!exists && !fresh) exists = rescue(entry, *folder, status);
  if (exists && is_in_place(entry, *folder, status)) {
    if (!is_source_itself(status, entry)) renew_metadata(entry, *folder, status);
    if (is_journalled(entry)) tidy(entry, *folder);
    return false;
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
  target.lock.emplace(folder.fd.get(), lock_name(name), target.shown);
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
  if (!settings_.leave_same || (settings_.files_anew && !settings_.checksum && !is_beneath(entry))) return false;
  if (!settings_.checksum) return has_mtime(status, entry);
  if (!entry.digest) return false;
  const base::Fd fd(openat(parent.fd.get(), leaf(entry.path).c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK));
  return fd.valid() && digest_of_fd(fd.get(), entry.size) == entry.digest;
}

// The data is in place; what else has changed is set without moving it.
void Writer::renew_metadata(const core::Entry& entry, const OpenFolder& parent, const struct stat& status) {
  const bool times = !settings_.metadata.times || has_mtime(status, entry);
  const bool plain = same_owner_and_mode(status, entry, settings_.metadata) && times;
  bool attributes = true;
  if (settings_.metadata.attributes) {
    attributes = read_attributes(parent.fd.get(), leaf(entry.path), shown(entry)) == entry.attributes;
  }
  if (plain && attributes) return;
  // A descriptor for metadata needs no right to read, but futimens and fsetxattr want more than O_PATH gives.
  base::Fd fd(openat(parent.fd.get(), leaf(entry.path).c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK));
  if (!fd.valid()) throw failure(shown(entry), "its metadata can't be set");
  file::set_metadata(fd.get(), status, entry, settings_.metadata, false, shown(entry));
}

}  // namespace argosy::file
