// A destination: checks every chunk that arrives, has the I/O threads write it, and commits each file once all of it is
// there and its digest is what the origin's end says. Receipts tell the origin what has been done.
//
// Whatever fails, it goes on receiving, and drops what it can't use: the communication never depends on a disk. A chunk
// whose head or records are damaged makes everything uncommitted suspect: it asks the origin to stop, and commits no
// more. What is whole and says what no honest peer says ends the job: arrived() throws base::Error (kIntegrity), and so
// does draining the I/O threads after the sink has refused a page.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/digest.h"
#include "base/error.h"
#include "base/failures.h"
#include "core/chunk.h"
#include "core/endpoint.h"
#include "core/manifest.h"
#include "core/manifest_check.h"
#include "core/receipt.h"
#include "engine/control.h"
#include "engine/relay.h"
#include "engine/workers.h"

namespace argosy::engine {

class Destination {
 public:
  struct Counts {
    std::int64_t bytes_written = 0;  // verified; not what was there already
    std::uint64_t files_committed = 0;
    std::int64_t bytes_committed = 0;
    std::uint64_t files_in_place = 0;      // nothing had to be moved
    std::uint64_t links_and_specials = 0;  // made, or in place
    std::uint64_t folders = 0;
    std::int64_t bytes_in_place = 0;
    std::optional<base::Digest> digest;  // of the last file committed
    std::string name;                    // of the last file committed or in place
  };
  // All of them outlive the destination.
  // `origins` ranks put chunks in.
  Destination(int origins, Workers& workers, Relay& relay, Control& control, core::Sink& sink);

  // A page may come: the files that are unfinished are not too many.
  bool has_room() const;
  void page_arrived(core::Page page);
  // A chunk has come; in any order.
  void arrived(Arrival arrival);
  // Passes on what has been done; true when that was anything.
  bool step();
  // Nothing will be written any more.
  bool done() const { return done_; }
  // The job has been asked to stop: what is unfinished when the stream ends is taken away, and is no failure.
  void stop() { stopped_ = true; }
  const Counts& counts() const { return counts_; }
  const base::Failures& failures() const { return failures_; }
  // It waits for its disk.
  bool is_writing() const { return tasks_ > 0; }

 private:
  // A wanted file, until it is committed or discarded.
  struct File {
    std::string path;
    std::int64_t size = 0;
    bool open_ended = false;
    core::Ranges held;  // there already; it comes all the same if another destination lacks it
    core::Ranges seen;  // given to the I/O threads so far
    base::Digest sum;   // of what has come
    std::int64_t written = 0;
    int writing = 0;  // extents on the I/O threads
    bool failed = false;
    bool cut_short = false;  // since the job was asked to stop, here or at the origin
    std::optional<core::Record> end;
  };
  // One record's work on an I/O thread, and what came of it.
  struct Job {
    core::Record record;
    std::span<const std::byte> data;
    std::int64_t told = 0;  // the file's size
    bool verified = false;  // it has not travelled: nothing to check
    bool held = false;      // what an earlier run has left of it may be the same
    bool written = false;
    std::optional<core::Record> end;    // the file is whole with this record: commit at once
    const std::string* path = nullptr;  // of the file, which stays as long as it is written
    std::optional<base::Failure> failure;
  };

  void examine_next();
  void examined(core::Page& page, core::Examination examination);
  void refuse(const core::ChunkView& view);
  std::vector<Job> prepare(const core::ChunkView& view, bool own);
  static base::Failure damaged(const Job& job);
  void work(Job& job) noexcept;
  void worked(const std::vector<Job>& jobs);
  void fail(std::uint64_t index, File& file, std::optional<base::Failure> failure);
  void settle(std::uint64_t index);
  void commit(std::uint64_t index, File file);
  base::Digest whole_digest(std::uint64_t index, const File& file);
  void committed(std::uint64_t index, const std::string& path, std::int64_t length, const base::Digest& digest,
                 std::optional<base::Failure> failure);
  void take_last();
  void give_up(std::string why);
  void end_stream();

  std::size_t most_unfinished_;
  Workers& workers_;
  Relay& relay_;
  Control& control_;
  core::Sink& sink_;

  bool examining_ = false;
  core::ManifestCheck manifest_;       // the task's that examines
  std::deque<core::Page> unexamined_;  // the root's own pages come without being asked for
  std::uint64_t entries_ = 0;
  std::unordered_map<std::uint64_t, File> files_;

  std::size_t tasks_ = 0;
  std::int64_t stream_bytes_ = 0;
  std::optional<core::Head> last_;
  bool stream_ended_ = false;
  bool given_up_ = false;
  bool stopped_ = false;
  bool done_ = false;
  core::Receipt receipt_;
  Counts counts_;
  base::Failures failures_;
};

}  // namespace argosy::engine
