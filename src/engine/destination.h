// A destination: checks every chunk that arrives, has the I/O threads write it, and commits each file once all of it is
// there and its digest is what the origin's end says. Receipts tell the origin what has been done.
//
// Whatever fails, it goes on receiving, and drops what it can't use: the communication never depends on a disk. A chunk
// whose head or records are damaged makes everything uncommitted suspect: it asks the origin to stop, and commits no more.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/digest.h"
#include "base/error.h"
#include "core/chunk.h"
#include "core/endpoint.h"
#include "core/manifest.h"
#include "core/receipt.h"
#include "core/route.h"
#include "core/transport.h"
#include "engine/relay.h"
#include "engine/workers.h"

namespace argosy::engine {

class Destination {
 public:
  struct Counts {
    std::int64_t bytes_written = 0;  // verified
    std::uint64_t files_committed = 0;
    std::int64_t bytes_committed = 0;
    std::uint64_t files_in_place = 0;  // nothing had to be moved
    std::int64_t bytes_in_place = 0;
    std::optional<base::Digest> digest;  // of the last file committed
    std::string name;                    // of the last file committed or in place
  };
  // All of them outlive the destination.
  Destination(core::Transport& transport, Workers& workers, const core::Route& route, core::Sink& sink);
  ~Destination();
  Destination(const Destination&) = delete;
  Destination& operator=(const Destination&) = delete;

  // A chunk has come; in any order.
  void arrived(Arrival arrival);
  // Starts what can be started; true when anything was.
  bool step();
  // The last receipt is on its way, and nothing will be written any more.
  bool done() const { return last_receipt_sent_; }
  // The job has been asked to stop: what is unfinished when the stream ends is taken away, and is no failure.
  void stop() { stopped_ = true; }
  const Counts& counts() const { return counts_; }
  const std::vector<base::Failure>& failures() const { return failures_; }
  // The rank that this one waits for (this rank itself while it writes), and for what.
  std::pair<int, std::string> waits_for() const;

 private:
  // A wanted file, until it is committed or discarded.
  struct File {
    core::Entry entry;
    base::Digest sum;
    std::int64_t written = 0;
    int writing = 0;  // extents on the I/O threads
    bool failed = false;
    std::optional<core::Record> end;
  };
  // One record's work on an I/O thread, and what came of it.
  struct Job {
    core::Record record;
    std::span<const std::byte> data;
    std::optional<core::Record> end;  // the file is whole with this record: commit at once
    std::string path;
    std::optional<base::Failure> failure;
  };

  bool receive_pages();
  void page_arrived(std::size_t bytes);
  void examined(const core::Page& page, const std::vector<bool>& wanted);
  std::string refuse(const core::ChunkView& view) const;
  std::vector<Job> prepare(const core::ChunkView& view);
  void work(Job& job) noexcept;
  void worked(const std::vector<Job>& jobs);
  void fail(std::uint64_t index, File& file, std::optional<base::Failure> failure);
  void settle(std::uint64_t index);
  void commit(std::uint64_t index, File file);
  void committed(std::uint64_t index, const std::string& path, const core::Record& end, std::optional<base::Failure> failure);
  void take_last(const core::Head& head);
  void give_up(std::string why);
  void end_stream();
  bool send_receipt();

  core::Transport& transport_;
  Workers& workers_;
  core::Sink& sink_;
  int origin_;

  std::vector<std::byte> page_buffer_;
  std::optional<core::Transport::Ticket> page_receive_;
  bool examining_ = false;
  bool last_page_seen_ = false;
  std::uint64_t next_page_ = 0;
  std::uint64_t entries_ = 0;
  std::unordered_map<std::uint64_t, File> files_;

  std::size_t tasks_ = 0;
  std::int64_t stream_bytes_ = 0;
  bool stream_ended_ = false;
  bool given_up_ = false;
  bool stopped_ = false;
  core::Receipt receipt_;
  bool receipt_under_way_ = false;
  bool last_receipt_sent_ = false;
  Counts counts_;
  std::vector<base::Failure> failures_;
};

}  // namespace argosy::engine
