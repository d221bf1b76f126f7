// The origin: the rank that puts a stream in. It walks the source, sends the manifest's pages ahead, plans chunks for the
// entries that the destinations want, has the I/O threads read and hash them, and puts them on the relay in order. A file's
// end follows its data, with the digest of the whole.
//
// Memory: at most kPagesAhead pages wait for answers, at most two pages' entries wait to be planned, and data lives in
// slots. A source that fails in the middle of a file ends that file; the stream goes on.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <unordered_map>
#include <vector>

#include "base/digest.h"
#include "base/error.h"
#include "core/chunk.h"
#include "core/endpoint.h"
#include "core/manifest.h"
#include "core/plan.h"
#include "core/receipt.h"
#include "engine/control.h"
#include "engine/pool.h"
#include "engine/relay.h"
#include "engine/workers.h"

namespace argosy::engine {

class Origin {
 public:
  struct Settings {
    std::int64_t chunk_size = 1 << 20;
    std::size_t ahead = 8;  // chunks being read or waiting for their turn
  };
  // What the receipts and the reading have added up to.
  struct Counts {
    std::int64_t bytes_read = 0;
    std::int64_t bytes_delivered = 0;  // verified and written at the destinations
    std::uint64_t files_delivered = 0;
    std::uint64_t entries = 0;
    std::optional<base::Digest> digest;  // of the last file that was read whole
  };
  // All of them outlive the origin.
  Origin(Workers& workers, Pool& pool, Relay& relay, Control& control, core::Source& source, Settings settings);

  // Starts what can be started; true when anything was. Throws base::Error when a peer breaks the protocol.
  bool step();
  // Everything has been put in.
  bool done() const { return last_put_; }
  // What the destinations want of a page, and what they have done.
  void answered(const core::Answer& answer);
  void received(const core::Receipt& receipt);
  // The stream ends early: what has not been read never will be.
  void stop();
  const Counts& counts() const { return counts_; }
  const std::vector<base::Failure>& failures() const { return failures_; }
  // It waits for the source.
  bool is_reading() const { return reading_ > 0 || walking_ || closing_ > 0; }

 private:
  // A file of several extents, between its first and its end.
  struct Account {
    base::Digest sum;
    std::int64_t bytes = 0;
    int reading = 0;        // extents on the I/O threads
    bool planned = false;   // no extent will follow
    base::Kind failure = base::Kind::kNone;
  };
  // One chunk on its way through the I/O threads.
  struct Fill {
    std::size_t slot = 0;
    std::vector<core::Extent> extents;
    std::uint32_t payload = 0;
    std::vector<core::Record> records;
    std::vector<base::Failure> failures;
    bool cut = false;  // an extent of an open-ended file was its last, or reading failed
  };

  bool walk();
  void page_read(core::Listing listing);
  void give_up(std::uint64_t entry);
  bool plan();
  void read_chunk(Fill& fill) const;
  void chunk_read(std::uint64_t chunk, Fill fill);
  void finish_if_read(std::uint64_t entry);
  bool put_ready();
  void put(std::uint64_t chunk, Fill fill, bool last);
  bool stream_ended() const;

  static constexpr std::size_t kPagesAhead = 4;

  Workers& workers_;
  Pool& pool_;
  Relay& relay_;
  Control& control_;
  core::Source& source_;
  Settings settings_;
  core::Planner planner_;

  bool walking_ = false;
  bool walked_ = false;
  bool stopped_ = false;
  bool last_put_ = false;
  std::size_t destinations_stopped_ = 0;
  std::uint64_t next_page_ = 0;
  std::map<std::uint64_t, core::Page> unanswered_;
  std::unordered_map<std::uint64_t, Account> accounts_;
  std::unordered_map<std::uint64_t, std::size_t> failed_at_;  // how many destinations could not commit an entry
  std::size_t closing_ = 0;                                  // close tasks under way
  std::uint64_t next_plan_ = 0;
  std::uint64_t next_put_ = 0;
  std::size_t reading_ = 0;
  bool reading_open_ended_ = false;
  std::map<std::uint64_t, Fill> ready_;
  std::vector<core::Record> ends_;
  std::int64_t stream_bytes_ = 0;
  Counts counts_;
  std::vector<base::Failure> failures_;
};

}  // namespace argosy::engine
