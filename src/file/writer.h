// The file sink: writes each file where nobody sees it, and makes it visible, whole and with its metadata, by one link
// or rename (the manner of leveldb's CURRENT: write, sync, rename). Folders, links and special files are made when a
// page tells of them; hard links, and what a folder is besides its name, when all files are there (finish()).
//
// Four ways to write a file that nobody sees: those of a new folder that has only small ones are made in another
// folder, which becomes that one (stage.h); other small ones beneath a folder that is moved have no name at all until
// they are linked (O_TMPFILE); others are written beside their target under a short name of their own, under a lock;
// and where the file system has no nameless files, small ones are too.
//
// With Settings::fsync small files wait, whole and unseen, until one syncfs has brought some hundred of them, or those
// of half a second, to the disk, and get their names then.
//
// Nothing here follows a symbolic link beneath the destination: every folder on the way is opened as one (folders.h).
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/failures.h"
#include "base/fd.h"
#include "core/endpoint.h"
#include "file/beneath.h"
#include "file/folders.h"
#include "file/journal.h"
#include "file/kept.h"
#include "file/lock.h"
#include "file/metadata.h"
#include "file/stage.h"

namespace argosy::file {

class Writer final : public core::Sink {
 public:
  struct Settings {
    bool fsync = false;       // durable before it is visible
    bool read_back = false;   // read again from the device and compared before it is visible
    bool leave_same = false;  // a target of the source's size and mtime is in place,
    bool checksum = false;    // or rather one of its digest, which the manifest then has
    Metadata metadata = {};
    bool publish = false;   // folders are filled under another name until publish_trees()
    bool only_ask = false;  // nothing is made or written; inspect() says what would be
    bool journals = true;   // what is written of a large file is noted, for a run after this one
    bool stages = false;  // one giver's manifest, which lists a folder once: new ones may be filled beside it (stage.h)
    bool whole = false;   // the folder itself is a tree's top: lock_top(), and all in it is beneath
    // Told of all that stands there in the end, by its path beneath the folder: what it is there, and of a file's
    // content the digest. On I/O threads, several at once. Of what is to be published before it is.
    std::function<void(const core::Entry&, const std::optional<base::Digest>&)> manifest = nullptr;
  };
  // What finish() has done.
  struct Finished {
    std::uint64_t hard_links = 0;  // made, or in place
    std::int64_t files_lost = 0;   // committed, and yet they could not be brought to the disk or shown
    std::int64_t bytes_lost = 0;
    base::Failures failures;
  };
  // `folder` outlives the writer; it is null when there is nothing to write, because no source can be read, and when
  // nothing is to be written.
  Writer(const Folder* folder, Settings settings);
  // Takes away what was neither committed nor discarded, but for what has a journal.
  ~Writer() override;

  std::vector<bool> examine(const core::Page& page) override { return inspect(page).wanted; }
  core::Examination inspect(const core::Page& page) override;
  void write(std::uint64_t entry, std::int64_t offset, std::span<const std::byte> data) override;
  void hole(std::uint64_t entry, std::int64_t offset, std::int64_t length) override;
  void written(std::uint64_t entry, core::Range range, const base::Digest& digest) override;
  base::Digest held(std::uint64_t entry, core::Range range) override;
  void commit(std::uint64_t entry, std::int64_t length, const base::Digest& digest) override;
  void put(std::uint64_t entry, std::span<const std::byte> data, const base::Digest& digest) override;
  void discard(std::uint64_t entry) noexcept override { give_up(entry, false); }
  void leave(std::uint64_t entry) noexcept override { give_up(entry, true); }
  // The job ends because a peer can't be trusted: nothing that is unfinished stays for the next run.
  void distrust() { distrusted_ = true; }
  // With Settings::publish, after finish() and where all has arrived: shows the folders. Blocks. Throws base::Error
  // (kDestination).
  void publish_trees();
  // Whether there are any to show.
  bool has_trees() const { return !staged_.empty(); }
  // With Settings::whole, before anything is written: one run at a time on the folder. Where `opens`, a folder that is
  // closed to its owner is opened, as set_top() will give it its mode back. Blocks. Throws base::Error (kDestination).
  void lock_top(bool opens);
  // The folder itself gets `entry`'s metadata when it is filled. Of several, as of any folder that is told of several
  // times, the entry with the lowest index counts. Not while inspect() runs.
  void set_top(std::uint64_t index, const core::Entry& entry);
  // When no more is written: makes the hard links, and gives folders their owner, attributes, mode and times. Blocks.
  Finished finish();
  // Of what has been written of an entry so far, as long as `length`: for whoever had it in no order that could be
  // digested on the way. Nothing where it can't be read. Throws as write does.
  std::optional<base::Digest> written_digest(std::uint64_t entry, std::int64_t length);

 private:
  // A file that nobody can see yet.
  struct Target {
    core::Entry entry;
    std::string shown;
    bool nameless = false;         // wanted so
    bool replaces = false;         // something stands under its name
    std::string temporary;         // beside the target; empty while it has no name
    std::shared_ptr<Stage> stage;  // where it is made instead
    std::once_flag opened;
    std::shared_ptr<const OpenFolder> folder;
    // Of a large one; by far the most files have neither.
    std::unique_ptr<Lock> lock;
    std::unique_ptr<Journal> journal;
    Recovered recovered;                 // what an earlier run has written
    std::optional<base::Digest> digest;  // for a manifest, once it is known
    bool made = false;                   // the file under the temporary name is ours
    std::atomic<bool> has_holes{false};  // it may not have grown to its length by itself
    base::Fd fd;
  };
  // A folder that can't be had, and how many entries in it were left out for that.
  struct Refused {
    base::Failure failure;
    std::int64_t below = 0;
  };
  // A folder right beneath the destination.
  struct Top {
    std::string path;
    dev_t device = 0;
    ino_t inode = 0;
  };
  struct LockedFolder {
    dev_t device = 0;
    ino_t inode = 0;
    base::Fd fd;
  };
  // What an entry without data came to.
  enum class Done { kMade, kInPlace };

  bool is_beneath(const core::Entry& entry) const {
    return settings_.whole || entry.path.find('/') != std::string::npos;
  }
  std::shared_ptr<Target> target(std::uint64_t entry);
  std::shared_ptr<Target> take(std::uint64_t entry);
  std::string shown(const core::Entry& entry) { return shown(entry.path); }
  std::string shown(const std::string& path);
  std::string told_path(const std::string& path);
  core::Entry staged(const core::Entry& entry);
  std::string name_here(const core::Entry& entry) const;
  bool is_shown_already(const core::Entry& entry);
  void compare_with_shown(const core::Page& page, std::size_t at, core::Examination& found);
  std::shared_ptr<const OpenFolder> parent(const std::string& path);
  bool is_in_refused_folder(const std::string& folder);
  bool counts_as_refused(const core::Entry& entry);
  static void check_names(const core::Page& page);
  void lock_tree(const core::Entry& entry);
  bool lock_folder(int above, const std::string& name, const std::string& shown);
  void inspect_one(const core::Page& page, std::size_t at, core::Examination& found);
  bool is_journalled(const core::Entry& entry) const;
  void stage_from(const core::Page& page, std::size_t first, const core::Entry& entry);
  bool can_stage(const core::Page& page, std::size_t first) const;
  void settle(Stage& stage);
  void look_for_stage(const std::string& above);
  void forget_left_stage();
  bool rescue(const core::Entry& entry, const OpenFolder& folder, struct stat& status);
  bool wants_file(const core::Page& page, std::uint64_t index, const core::Entry& entry, std::vector<core::Part>& held);
  void check_space(const core::Page& page, core::Examination& found);
  void tidy(const core::Entry& entry, const OpenFolder& folder);
  bool is_in_place(const core::Entry& entry, const OpenFolder& parent, const struct stat& status) const;
  bool has_metadata(const core::Entry& entry, const OpenFolder& parent, const struct stat& status);
  bool has_other_names(const core::Page& page, const core::Entry& entry, const struct stat& status);
  void renew_metadata(const core::Entry& entry, const OpenFolder& parent, struct stat status);
  void lacks(std::optional<base::Failure> failure);
  Done make(std::uint64_t index, const core::Entry& entry);
  Done make_folder(std::uint64_t index, const core::Entry& entry);
  Done make_other(const core::Entry& entry);
  bool other_is_in_place(const core::Entry& entry, const OpenFolder& parent, const struct stat& status);
  bool would_change(const core::Entry& entry);
  void note_failed(std::string_view path);
  bool link_is_there(const LinkRecord& link);
  void make_link(const LinkRecord& link);
  void finish_folder(const FolderRecord& record);
  void note_top(const core::Entry& entry, const OpenFolder& above);
  void check_tops(Finished& finished);

  void open(Target& target);
  void open_once(Target& target);
  bool open_staged(Target& target);
  static bool is_staged(const Target& target);
  void write_to(const Target& target, std::int64_t offset, std::span<const std::byte> data);
  void complete(const std::shared_ptr<Target>& target, std::int64_t length, const base::Digest& digest);
  void drop(Target& target, bool stays) noexcept;
  void publish_later(const std::shared_ptr<Target>& target);
  void publish_overdue();
  void sync_and_publish(const std::vector<std::shared_ptr<Target>>& targets);
  void sync_folders(Finished& finished) const;
  void put_in_manifest(int folder, const std::string& name, const core::Entry& entry,
                       const std::optional<base::Digest>& digest);
  void put_in_manifest(const core::Entry& entry, const OpenFolder& above, const std::optional<base::Digest>& digest);
  void put_in_place_in_manifest(const core::Entry& entry, const OpenFolder& above);
  void put_link_in_manifest(const LinkRecord& link);
  void put_folders_in_manifest(const std::vector<core::Entry>& folders);
  void look_for_journal(Target& target, const OpenFolder& folder);
  void continue_part(Target& target);
  static void leave_hole(const Target& target, std::int64_t offset, std::int64_t length);
  void give_up(std::uint64_t entry, bool stays) noexcept;
  void remove_part(Target& target);
  mode_t first_mode(const core::Entry& entry) const;
  bool open_nameless(Target& target);
  void open_beside(Target& target);
  void set_metadata(const Target& target);
  void read_back(const Target& target, std::int64_t length, const base::Digest& digest) const;
  void publish(Target& target);
  void show(Target& target);
  void link_nameless(Target& target);

  const Folder* folder_;
  Settings settings_;
  std::optional<Folders> folders_;
  mode_t mask_;
  uid_t user_;
  gid_t group_;
  std::atomic<bool> no_nameless_{false};  // the file system can't
  std::unordered_map<std::string, Lock> trees_;
  std::vector<LockedFolder> locked_folders_;
  mode_t top_mode_ = 0;  // with Settings::whole: before it was opened
  std::atomic<bool> distrusted_{false};
  FolderMarks marks_;
  FolderRecords folder_records_;
  LinkRecords links_;
  std::vector<Top> tops_;
  std::map<dev_t, std::shared_ptr<const OpenFolder>> unsynced_folders_;  // one on each file system
  // Of the folder whose entries are being examined.
  std::string listed_folder_;
  std::shared_ptr<Stage> stage_;
  std::string looked_beside_;  // where for what an earlier run has left
  std::shared_ptr<const OpenFolder> left_stage_above_;
  std::shared_ptr<const OpenFolder> left_stage_;
  std::unordered_set<std::string> shown_already_;  // folders of --publish that stand there under their own names
  std::mutex mutex_;                               // of what follows
  std::map<std::string, Refused> refused_;
  std::unordered_map<std::string, std::string> staged_;  // the names of folders to be shown, by what they have now
  std::unordered_map<std::uint64_t, std::shared_ptr<Target>> targets_;
  std::unordered_set<std::uint64_t> failed_files_;  // hashes of their paths: what stands there is not the source's
  std::vector<std::shared_ptr<Target>> unsynced_;
  std::chrono::steady_clock::time_point unsynced_since_;  // the first of them
  Finished finished_;                                     // what is found out before finish()
};

// What a run with Settings::publish has left of the folder `name` in the folder `above`, when it was killed, gets that
// name, unless something has it: a run that fills the folder where it stands goes on with it. The caller holds the
// tree's lock. Blocks.
void show_left_tree(int above, const std::string& name);
// The same of the folder `path` for a caller that is going to lock it in another way, and to leave it as any new folder
// is. Throws base::Error (kDestination) about `shown`: another run is at it.
void show_left_tree(const std::string& path, const std::string& shown);

}  // namespace argosy::file
