// What has been written of one file, kept beside it so that a run that is killed need not begin again: ranges of the
// file under its temporary name, each with its digest (layout: doc/journal_format.md). A journal is keyed by what the
// source was (name, size, mtime) and not by the command. It is hostile until it is read: what is damaged, is somebody
// else's, or does not agree with what is on the disk, counts as not written.
#pragma once

#include <sys/stat.h>

#include <chrono>
#include <cstdint>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/digest.h"
#include "base/fd.h"
#include "core/manifest.h"
#include "core/ranges.h"

namespace argosy::file {

// A file of less is written again.
inline constexpr std::int64_t kJournalled = 1 << 20;

// What of a file under its temporary name is there, according to its journal and as it reads. Both are open, and stay
// the files that were looked at whatever their names lead to by now.
struct Recovered {
  std::vector<core::Part> parts;  // in order; empty: nothing can be used
  base::Fd part;
  base::Fd journal;
  std::uint64_t head = 0;  // the checksum of the journal's head
  std::int64_t bytes = 0;  // how many of the journal's make sense
  bool same_boot = false;  // what is added to it is of the boot that its last records are of
};

class Journal {
 public:
  static constexpr std::size_t kRecordBytes = 48;
  static constexpr std::size_t kLongestName = 2048;
  static constexpr std::size_t kLongestHead = 4096;

  // What it is about: the same for the same bytes.
  struct Key {
    std::string name;  // the target's in its folder; of a download, where it comes from and which version it is
    std::int64_t size = 0;
    core::Timestamp mtime;
    friend bool operator==(const Key&, const Key&) = default;
  };
  static Key key_of(const core::Entry& entry);

  struct Record {
    core::Range range;     // empty: what follows is of the boot that `digest` tells
    base::Digest digest;   // of the range's leaves, not closed
    bool durable = false;  // it was on the disk when this was written
    bool is_boot() const { return range.end == 0; }
  };
  struct Head {
    Key key;
    bool same_boot = false;
    std::uint64_t inode = 0;  // of the file under its temporary name
    std::uint64_t checksum = 0;
    std::size_t bytes = 0;
  };

  // A new journal called `name` in `folder`, about `key`, of which `part` is being written. With `durable` what is
  // written is brought to the disk about twice a second, and counts after a power failure. Blocks. Throws base::Error
  // (kDestination).
  Journal(int folder, const std::string& name, const Key& key, int part, bool durable, std::string shown);
  // The same of one that is there. Takes its journal, not its part.
  Journal(Recovered& recovered, int part, bool durable, std::string shown);

  // Any thread; blocks. Throws base::Error (kDestination).
  void add(core::Range range, const base::Digest& digest);

  // What a journal's first bytes say; nothing where it is none, or is damaged.
  static std::optional<Head> decode_head(std::span<const std::byte> bytes, std::string_view boot);
  // What kRecordBytes bytes behind it say of a file of `size` bytes; nothing where they are damaged.
  static std::optional<Record> decode(std::span<const std::byte> bytes, std::uint64_t head, std::int64_t size);
  static std::vector<std::byte> encode_head(const Key& key, std::string_view boot, std::uint64_t inode);
  static std::vector<std::byte> encode(const Record& record, std::uint64_t head);
  // Says that the records behind it are of this boot.
  static Record boot_record(std::string_view boot);

 private:
  void append(const Record& record);

  std::string shown_;
  int part_;
  bool durable_;
  base::Fd fd_;
  std::uint64_t head_ = 0;  // the head's checksum, which ties records to it
  std::mutex mutex_;
  std::vector<Record> unsynced_;
  std::chrono::steady_clock::time_point synced_;
};

// This boot of this machine.
const std::string& boot_id();

// What there is for `entry` in `folder`, whose target is called `name`. A journal that is damaged or foreign is set
// aside under another name. Reads the journal as a stream: memory is bounded by what an answer may tell. Blocks; takes
// no lock, so the caller holds the target's. Throws base::Error (kDestination) when it is interrupted.
Recovered recover(int folder, const std::string& name, const core::Entry& entry);

// A journal and what it is called when it is set aside, in a folder.
struct JournalNames {
  int folder = -1;
  std::string journal;
  std::string aside;
};
// The same of a file that is open, whose other writers the caller has kept away; not valid: there is none.
Recovered recover(const JournalNames& names, base::Fd part, const Journal::Key& key, const std::string& shown);

// What a journal says of the open file `part`, without a look at its bytes: a hint. Nothing where there is none that is
// about this file; one that is damaged is set aside. Blocks.
struct Begun {
  Journal::Key key;
  core::Range gap;         // the first part that is not written; empty, at the end, where there is none
  std::int64_t bytes = 0;  // that are
};
std::optional<Begun> begun(const JournalNames& names, int part);

// A regular file of this user's without a second name.
bool is_ours(int fd, struct stat& status);

}  // namespace argosy::file
