// The part of the Writer that brings small files and folders to the disk, many by one call: on a disk that has to write
// each time it is asked, a call for each file would be all that a tree's transfer waits for.
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <map>
#include <utility>

#include "base/error.h"
#include "file/writer.h"

namespace argosy::file {

namespace {

using base::Kind;

// So many files wait, each with a descriptor.
constexpr std::size_t kMostUnsynced = 128;
// And so long: what a run that is killed has received must not come again.
constexpr std::chrono::milliseconds kLongestUnsynced(500);

}  // namespace

void Writer::publish_later(const std::shared_ptr<Target>& target) {
  std::vector<std::shared_ptr<Target>> ready;
  {
    const std::lock_guard lock(mutex_);
    if (unsynced_.empty()) unsynced_since_ = std::chrono::steady_clock::now();
    unsynced_.push_back(target);
    if (unsynced_.size() < kMostUnsynced) return;
    ready.swap(unsynced_);
  }
  sync_and_publish(ready);
}

// Called whenever something has been written.
void Writer::publish_overdue() {
  if (!settings_.fsync) return;
  std::vector<std::shared_ptr<Target>> ready;
  {
    const std::lock_guard lock(mutex_);
    if (unsynced_.empty() || std::chrono::steady_clock::now() - unsynced_since_ < kLongestUnsynced) return;
    ready.swap(unsynced_);
  }
  sync_and_publish(ready);
}

// They count as committed already: what fails here is told by finish().
void Writer::sync_and_publish(const std::vector<std::shared_ptr<Target>>& targets) {
  // Beneath one folder there may be several file systems.
  std::map<dev_t, int> synced;
  for (const auto& target : targets) {
    try {
      const auto [found, first] = synced.try_emplace(target->folder->device, 0);
      if (first && syncfs(target->fd.get()) != 0) found->second = errno;
      if (found->second != 0) throw base::system_error(Kind::kDestination, target->shown, found->second, "syncfs");
      publish(*target);
    } catch (const base::Error& error) {
      remove_part(*target);
      if (target->replaces) note_failed(target->entry.path);
      const std::lock_guard lock(mutex_);
      finished_.failures.add(error.failure());
      ++finished_.files_lost;
      finished_.bytes_lost += target->entry.size;
    }
  }
}

// Names and metadata of all that was made, once on each file system.
void Writer::sync_folders(Finished& finished) const {
  for (const auto& [device, folder] : unsynced_folders_) {
    if (syncfs(folder->fd.get()) == 0) continue;
    finished.failures.add(
        base::system_error(Kind::kDestination, folder_->path(), errno, "syncfs of the folders").failure());
  }
}

}  // namespace argosy::file
