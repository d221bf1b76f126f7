// What has been written of one file, kept beside it so that a run that is killed need not begin again: ranges of the
// file under its temporary name, each with its digest (layout: doc/journal_format.md). A journal is keyed by what the
// source was (name, size, mtime) and not by the command. It is hostile until it is read: what is damaged, or does not
// agree with what is on the disk, counts as not written.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/digest.h"
#include "base/fd.h"
#include "core/manifest.h"
#include "core/ranges.h"

namespace argosy::file {

// A file of less is written again.
inline constexpr std::int64_t kJournalled = 1 << 20;

class Journal {
 public:
  struct Record {
    core::Range range;
    base::Digest digest;   // of the range's leaves, not closed
    bool durable = false;  // it was on the disk when this was written
  };
  struct Contents {
    bool foreign = false;  // it is no journal, or one of something else
    bool same_source = false;
    bool same_boot = false;
    std::uint64_t inode = 0;  // of the file under its temporary name
    std::vector<Record> records;
  };

  // A new journal called `name` in `folder`, for `entry`, of which `part` is being written. With `durable` what is
  // written is brought to the disk about twice a second, and counts after a power failure. Blocks. Throws base::Error
  // (kDestination).
  Journal(int folder, const std::string& name, const core::Entry& entry, int part, bool durable, std::string shown);
  // The same of one that is there, which ends after `bytes` sensible bytes.
  Journal(int folder, const std::string& name, int part, bool durable, std::string shown, std::size_t bytes);

  // Any thread; blocks. Throws base::Error (kDestination).
  void add(core::Range range, const base::Digest& digest);

  // What a journal's bytes say; hostile bytes give nothing. `bytes_used`: how many of them make sense.
  static Contents decode(std::span<const std::byte> bytes, const core::Entry& entry, std::string_view boot,
                         std::size_t& bytes_used);
  static std::vector<std::byte> encode_head(const core::Entry& entry, std::string_view boot, std::uint64_t inode);
  static std::vector<std::byte> encode(const Record& record, std::uint64_t head);

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

// What of `.part` in `folder` is there for `entry`, according to its journal and as it reads: a record each. A journal
// that is damaged or foreign is set aside under another name. `used` is for continuing it. Empty: nothing can be used.
// Blocks; takes no lock, so the caller holds the target's.
std::vector<Journal::Record> recover(int folder, const std::string& name, const core::Entry& entry, std::size_t& used);

}  // namespace argosy::file
