// A member of a fetch: writes what comes to its folder, and once an entry's end is known and all of it is there, checks
// it and makes it visible. What fails on its disk fails here alone; chunks go on to the others all the same.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/error.h"
#include "command/fetch_wire.h"
#include "core/chunk.h"
#include "engine/relay.h"
#include "engine/workers.h"
#include "file/download.h"

namespace argosy::command {

class FetchDestination {
 public:
  struct Settings {
    bool read_back = false;
  };
  // All outlive it. `say` takes words for rank 0.
  FetchDestination(engine::Workers& workers, file::Downloads& downloads, Settings settings,
                   std::function<void(const Word&)> say);

  // Main thread; none blocks.
  void look(const Look& look);
  void arrived(const engine::MessageUse& message);
  void pinned(const Pinned& pinned);
  void keep(const Keep& keep);
  void end(End end);
  void discard(std::uint64_t entry, bool stays);
  // Starts what is ready; true when anything was.
  bool step();
  // No task is under way.
  bool idle() const { return tasks_ == 0 && ready_.empty() && ready_large_.empty(); }

  std::int64_t bytes_written() const { return bytes_written_; }  // verified
  std::int64_t bytes_held() const { return bytes_held_; }        // of what interrupted runs had written
  std::int64_t files() const { return files_; }
  const std::vector<base::Failure>& failures() const { return failures_; }

 private:
  struct Account {
    base::Digest sum;
    std::int64_t written = 0;
    int writing = 0;  // extents on the I/O threads
    bool failed = false;
    bool stays = false;            // what there is of it is for the next run
    std::vector<core::Part> held;  // from an interrupted run
    std::string in_place;          // the digest of the file that stands there and is this one already
    std::optional<End> end;
  };
  struct Extent {
    std::string guess;
    core::Record record;
    std::span<const std::byte> data;
    std::optional<base::Failure> failure;
    engine::MessageUse message;  // has the data
  };
  struct Commit {
    std::string guess;
    End end;
    base::Digest sum;
    std::optional<Extent> extent;  // still to be written
    std::string unequal;           // what is wrong with the bytes
    std::optional<base::Failure> failure;
  };
  void start_writing(std::vector<Extent> extents);
  void start_committing(std::vector<Commit> commits);
  std::optional<Existing> existing(std::uint64_t index, const Sought& sought) const;
  const std::string& guess(std::uint64_t entry) const;
  void write(Extent& extent) noexcept;
  void note(Extent& extent) noexcept;
  void written(const std::vector<Extent>& extents);
  void commit(Commit& commit) noexcept;
  void committed(const Commit& commit);
  void read_back(const End& end) const;
  void fail(std::uint64_t entry, Account& account, const base::Failure& failure);
  void settle(std::uint64_t entry);
  void settle_in_place(std::uint64_t entry, Account& account);
  // The entry would go on with what an interrupted run has begun.
  bool has_begun(std::uint64_t entry) const { return entry % kTries == 0 && begun_.contains(index_of(entry)); }
  void take_away(std::uint64_t entry, bool stays);

  engine::Workers& workers_;
  file::Downloads& downloads_;
  Settings settings_;
  std::function<void(const Word&)> say_;
  std::vector<std::string> names_;  // by index
  std::map<std::uint64_t, Account> accounts_;
  std::set<std::uint64_t> discarded_;
  std::set<std::uint64_t> begun_;  // objects that an interrupted run has begun, by index
  // Files that are one small extent wait with it in its slot until their end is known, and then take one task for all;
  // and only one such task goes on at a time, as two would only wait for each other at the folder.
  std::map<std::uint64_t, Extent> small_;
  std::vector<Commit> ready_;  // of these
  bool committing_ = false;
  std::vector<Commit> ready_large_;
  std::size_t tasks_ = 0;
  std::int64_t bytes_written_ = 0;
  std::int64_t bytes_held_ = 0;
  std::int64_t files_ = 0;
  std::vector<base::Failure> failures_;
};

// What differs between what `read` gives and the checksums and pieces of `end`; empty where nothing does. Blocks.
std::string unequal(const End& end, const std::function<std::size_t(std::int64_t, std::span<std::byte>)>& read);

}  // namespace argosy::command
