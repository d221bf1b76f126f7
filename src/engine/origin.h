// An origin: a rank that puts chunks in. The root walks the source, sends the manifest's pages ahead, plans chunks for
// the entries that the destinations want, has the I/O threads read and hash them, and puts them on the relay in order.
// A file's end follows its data, with the digest of the whole.
//
// Where the route has several origins (a source that all nodes see), each makes the same plan from the same pages and
// the root's grants, and puts in the chunks that the route gives it; the root sees all chunks pass, sums up the
// digests, looks last whether a file has changed, and ends files and stream. An origin whose turn comes after the last
// data puts in an empty chunk.
//
// Memory: at most kPagesAhead pages wait for answers, at most two pages' entries wait to be planned, and data lives in
// slots. A source that fails in the middle of a file ends that file; the stream goes on.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <unordered_map>
#include <vector>

#include "base/digest.h"
#include "base/error.h"
#include "base/failures.h"
#include "core/chunk.h"
#include "core/endpoint.h"
#include "core/manifest.h"
#include "core/plan.h"
#include "core/receipt.h"
#include "core/route.h"
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
    // Nothing is moved: called at the root, on the main thread, for each entry that a destination would want.
    std::function<void(const core::Entry&)> only_ask = {};
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
  Origin(int me, const core::Route& route, Workers& workers, Pool& pool, Relay& relay, Control& control,
         core::Source& source, Settings settings);

  // Starts what can be started; true when anything was. Throws base::Error when a peer breaks the protocol.
  bool step();
  // Everything has been put in; where this is not the root, the stream's end on the relay says so.
  bool done() const { return last_put_ || !walks_; }
  // Another rank's page (this one is not the root).
  void page_arrived(const core::Page& page);
  // What is to be moved of a page: at the root what the destinations want, elsewhere the root's grant.
  void answered(core::Answer answer);
  // A chunk that another origin has put in passes.
  void passes(const core::ChunkView& view);
  // What the destinations have done.
  void received(const core::Receipt& receipt);
  // The stream ends early: what has not been read never will be.
  void stop();
  const Counts& counts() const { return counts_; }
  const base::Failures& failures() const { return failures_; }
  // It waits for the source.
  bool is_reading() const { return reading_ > 0 || walking_ || closing_ > 0 || comparing_; }

 private:
  // A file of several extents, between its first and its end.
  struct Account {
    base::Digest sum;        // of what has been moved, at the root of what is held too
    std::int64_t bytes = 0;  // that have been moved
    std::int64_t size = 0;   // that are to be moved
    std::int64_t held = 0;   // that all destinations have
    int reading = 0;         // extents on the I/O threads
    bool planned = false;    // no extent will follow
    bool ended = false;      // by another origin's failure
    base::Kind failure = base::Kind::kNone;
  };
  // One chunk on its way through the I/O threads.
  struct Fill {
    std::size_t slot = 0;
    std::vector<core::Extent> extents;
    std::uint32_t payload = 0;
    std::vector<core::Record> records;
    std::vector<base::Failure> failures;
    std::int64_t hole_until = 0;  // of the last extent's file: the hole that it ends in goes on so far
    bool cut = false;             // an extent of an open-ended file was its last, or reading failed
  };

  bool walk();
  void page_read(core::Listing listing);
  static bool fits(const core::Part& part, std::int64_t size);
  void take_answers();
  void compare(core::Answer& answer, const core::Page& page) const;
  void decided(const core::Answer& answer);
  void give_up(std::uint64_t entry);
  bool plan();
  std::size_t timed_read(std::uint64_t entry, std::int64_t offset, std::span<std::byte> into) const;
  void read_chunk(Fill& fill) const;
  bool read_whole(Fill& fill, const core::Extent& extent, core::Record& end) const;
  void look_ahead(Fill& fill, const core::Extent& extent) const;
  void read_extent(Fill& fill, const core::Extent& extent, std::size_t room) const;
  void close_unread(std::vector<std::uint64_t> entries, bool unwanted);
  void chunk_read(std::uint64_t chunk, Fill fill);
  void finish_if_read(std::uint64_t entry);
  void tell_ended(const core::Record& end);
  bool put_ready();
  void put(std::uint64_t chunk, Fill fill, bool last);
  void skip(const std::vector<core::Extent>& extents);
  std::uint64_t next_own(std::uint64_t chunk) const;
  bool put_end();
  bool may_fill() const;
  bool all_passed();
  bool all_planned() const { return walked_ && !walking_ && unanswered_.empty() && planner_.waiting() == 0; }
  bool settled() const { return reading_ == 0 && ready_.empty() && accounts_.empty() && closing_ == 0 && !comparing_; }

  static constexpr std::size_t kPagesAhead = 4;

  int me_;
  const core::Route& route_;
  bool walks_;   // this is the root
  bool shared_;  // there are other origins
  Workers& workers_;
  Pool& pool_;
  Relay& relay_;
  Control& control_;
  core::Source& source_;
  Settings settings_;
  core::Planner planner_;

  bool walking_ = false;
  bool walked_ = false;
  std::atomic<bool> stopped_{false};  // read by I/O threads
  bool last_put_ = false;
  std::size_t destinations_stopped_ = 0;
  std::uint64_t next_page_ = 0;
  std::map<std::uint64_t, std::shared_ptr<const core::Page>> unanswered_;
  std::deque<core::Answer> answers_;  // to pages that are unanswered still
  bool comparing_ = false;            // what the next answer's destinations hold
  std::unordered_map<std::uint64_t, Account> accounts_;
  std::map<std::uint64_t, std::size_t> failed_at_;  // how many destinations could not commit an entry, of the last few
  std::size_t closing_ = 0;                         // close tasks under way
  std::uint64_t next_plan_ = 0;
  std::uint64_t next_put_ = 0;         // this origin's own next chunk
  std::uint64_t passed_ = 0;           // chunks put in, by whomever
  std::set<std::uint64_t> unplanned_;  // of these, those that the plan here has not come to
  std::uint64_t may_fill_to_ = 0;      // empty chunks before this one are wanted; of origins that are not the root
  std::size_t reading_ = 0;
  bool reading_open_ended_ = false;
  std::map<std::uint64_t, Fill> ready_;
  std::vector<core::Record> ends_;
  std::int64_t stream_bytes_ = 0;
  Counts counts_;
  base::Failures failures_;
};

}  // namespace argosy::engine
