// Standard output of `argosy fetch --stdout`, on rank 0: the bodies in the order in which they were asked for, whatever
// the order in which they come. What comes before its turn waits in its slots; a Dealer sees to it that there are
// enough for what has its turn.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/fd.h"
#include "command/fetch_wire.h"
#include "command/move.h"
#include "engine/relay.h"
#include "engine/workers.h"
#include "http/checksum.h"

namespace argosy::command {

class FetchOutput {
 public:
  // `workers` outlives it. `open` is called on an I/O thread when there is something to write. `say` takes words for
  // rank 0, `written` how far an entry is.
  FetchOutput(engine::Workers& workers, std::function<StandardOutput()> open, std::function<void(const Word&)> say,
              std::function<void(std::uint64_t, std::int64_t)> written);

  // Main thread; none blocks.
  void arrived(const engine::MessageUse& message);
  void end(End end);
  void discard(std::uint64_t entry);
  // The entry whose turn it is.
  struct Head {
    std::uint64_t entry = 0;
    bool known = false;  // its first answer has been looked at
    std::vector<http::Checksum> checksums;
  };
  // Writes on, of `head` alone; true when anything was started.
  bool step(const std::optional<Head>& head);
  // No more comes: waits until all that was written has arrived where it goes.
  void close();
  bool closed() const { return closed_; }
  bool idle() const { return !writing_; }
  // The output can't be written any more.
  bool failed() const { return failure_.has_value(); }
  const std::optional<base::Failure>& failure() const { return failure_; }
  std::int64_t bytes_written() const { return bytes_written_; }

 private:
  struct Extent {
    core::Record record;
    std::span<const std::byte> data;
    engine::MessageUse message;
  };
  struct Body {
    std::map<std::int64_t, Extent> extents;  // by their place
    std::int64_t written = 0;
    base::Digest sum;
    std::optional<End> end;
    std::optional<http::Checksum> checksum;  // that it must have
    std::optional<http::Hasher> hasher;      // of the I/O threads, one after another
  };
  void write(const Extent& extent, Body& body);
  void finish(std::uint64_t entry, Body& body);
  void fail(const base::Failure& failure);

  engine::Workers& workers_;
  std::function<StandardOutput()> open_;
  std::function<void(const Word&)> say_;
  std::function<void(std::uint64_t, std::int64_t)> written_;
  std::optional<StandardOutput> output_;  // of the I/O threads
  std::map<std::uint64_t, Body> bodies_;
  std::set<std::uint64_t> discarded_;
  bool writing_ = false;
  bool closed_ = false;
  std::optional<base::Failure> failure_;
  std::int64_t bytes_written_ = 0;
};

}  // namespace argosy::command
