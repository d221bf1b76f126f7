// Standard output of `argosy fetch --stdout`, on rank 0: the bodies in the order in which they were asked for, whatever
// the order in which they come. What comes before its turn waits in its slots; a Dealer sees to it that there are
// enough for what has its turn.
//
// A body that must have a checksum is shown only when it has it: it goes to a file without a name in TMPDIR first, as
// it may be longer than the memory.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
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

namespace argosy::command {

class FetchOutput {
 public:
  // How far an entry is, and whether what was written of it can be seen.
  using Written = std::function<void(std::uint64_t, std::int64_t, bool)>;
  // `workers` outlives it. `open` is called on an I/O thread when there is something to write. `say` takes words for
  // rank 0.
  FetchOutput(engine::Workers& workers, std::function<StandardOutput()> open, std::function<void(const Word&)> say,
              Written written);

  // Main thread; none blocks.
  void arrived(const engine::MessageUse& message);
  void end(End end);
  void discard(std::uint64_t entry);
  // The entry whose turn it is.
  struct Head {
    std::uint64_t entry = 0;
    bool known = false;    // the head of its first answer has been looked at
    bool checked = false;  // then: it must have a checksum
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
    bool checked = false;  // it is shown when it has been looked at
    base::Fd spool;        // of the I/O threads, one after another
  };
  Body& body(std::uint64_t entry);
  void write(const Extent& extent, Body& body);
  static std::string what_is_wrong(Body& body);
  void write_spooled(const Body& body);
  void finish(std::uint64_t entry);
  void forget(std::uint64_t entry);
  void fail(const base::Failure& failure);

  engine::Workers& workers_;
  std::function<StandardOutput()> open_;
  std::function<void(const Word&)> say_;
  Written written_;
  std::optional<StandardOutput> output_;  // of the I/O threads
  std::map<std::uint64_t, std::shared_ptr<Body>> bodies_;
  std::set<std::uint64_t> discarded_;
  bool writing_ = false;
  bool closed_ = false;
  std::optional<base::Failure> failure_;
  std::int64_t bytes_written_ = 0;
};

}  // namespace argosy::command
