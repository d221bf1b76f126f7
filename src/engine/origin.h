// The origin: the rank that puts a stream in. It walks the source, sends the manifest's pages ahead, plans chunks for the
// entries that the destinations want, has the I/O threads read and hash them, and puts them on the relay in order. A file's
// end follows its data, with the digest of the whole. It is done when every destination has given its last receipt.
//
// Memory: at most kPagesAhead pages wait for answers, at most two pages' entries wait to be planned, and data lives in
// slots. A source that fails in the middle of a file ends that file; the stream goes on.
#pragma once

#include <cstdint>
#include <map>
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
#include "core/plan.h"
#include "core/receipt.h"
#include "core/route.h"
#include "core/transport.h"
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
  Origin(core::Transport& transport, Workers& workers, Pool& pool, Relay& relay, const core::Route& route,
         core::Source& source, Settings settings);
  ~Origin();
  Origin(const Origin&) = delete;
  Origin& operator=(const Origin&) = delete;

  // Starts what can be started; true when anything was. Throws base::Error when a peer breaks the protocol.
  bool step();
  bool done() const;
  // The stream ends early: what has not been read never will be.
  void stop();
  const Counts& counts() const { return counts_; }
  const std::vector<base::Failure>& failures() const { return failures_; }
  // The rank that this one waits for (this rank itself while it reads), and for what.
  std::pair<int, std::string> waits_for() const;

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
  void receive_answer(int child);
  void receive_receipt(int child);
  void answered(std::uint64_t page);
  bool plan();
  void read_chunk(Fill& fill) const;
  void chunk_read(std::uint64_t chunk, Fill fill);
  void finish_if_read(std::uint64_t entry);
  bool put_ready();
  void put(std::uint64_t chunk, Fill fill, bool last);
  bool stream_ended() const;

  static constexpr std::size_t kPagesAhead = 4;

  core::Transport& transport_;
  Workers& workers_;
  Pool& pool_;
  Relay& relay_;
  core::Source& source_;
  Settings settings_;
  std::vector<int> children_;
  core::Planner planner_;

  bool walking_ = false;
  bool walked_ = false;
  bool stopped_ = false;
  bool last_put_ = false;
  std::uint64_t next_page_ = 0;
  struct Unanswered {
    core::Page page;
    std::vector<bool> wanted;
    std::size_t answers = 0;
  };
  std::map<std::uint64_t, Unanswered> unanswered_;
  std::map<std::pair<int, core::Tag>, core::Transport::Ticket> receives_;
  std::map<int, std::vector<std::byte>> answer_buffers_;
  std::map<int, std::vector<std::byte>> receipt_buffers_;
  std::map<int, bool> last_receipts_;
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
