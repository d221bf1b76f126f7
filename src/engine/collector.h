// Brings chunks of a stripe together on one rank: asks whoever has been seen to have them, checks each, and rebuilds
// from the rest of its group what nobody has right. For gather the wanted chunks are the file's, for repair those of a
// share.
//
// A group is collected as it is as long as nothing is found lost. Where something is, as many of its chunks as it has
// data are added up into the lost ones as they come; one that turns out damaged then is lost too, and the group is
// begun again without it.
//
// A chunk whose row no folder has right can't be told from damage, but it can be rebuilt from chunks that are right,
// and then its row is known again.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "core/erasure.h"
#include "core/stripe_endpoint.h"
#include "core/stripe_manifest.h"
#include "engine/stripe_client.h"
#include "engine/stripe_table.h"
#include "engine/workers.h"

namespace argosy::engine {

// What can't be had of a share.
struct Missing {
  std::int64_t count = 0;           // chunks,
  std::int64_t rows = 0;            // and of how many of them the row of the table is lost
  std::vector<std::string> chunks;  // the first of them, as their files are called in the layout chunks
};

class Collector {
 public:
  struct Settings {
    std::int64_t first_group = 0;
    std::int64_t end_group = 0;  // behind the last
    std::function<bool(const core::Cell&, const core::Row&)> wants;
    bool table = false;  // the sink gets the table, too
    StripeClient::Settings client;
  };
  struct Counts {
    std::int64_t bytes = 0;  // put
    std::int64_t chunks = 0;
    std::int64_t rebuilt = 0;  // chunks of these
    std::int64_t damaged = 0;  // chunks that were found so, or could not be read
    base::Digest sum;          // over the digests of the data chunks that were put
  };
  // All outlive the collector.
  Collector(core::Transport& transport, Workers& io, Pool& pool, const core::StripeManifest& manifest,
            const Sight& sight, core::CellSink& sink, Settings settings);

  // Starts what can be started; true when anything was. Throws base::Error when a peer breaks the protocol.
  bool step();
  // Everything wanted is put, or it is known that it can't be; and every rank has been told the end.
  bool done() const { return ended_ && client_.idle() && tasks_ == 0; }
  // What has not been asked for never will be.
  void stop() { stopped_ = true; }
  const Counts& counts() const { return counts_; }
  // By share; empty when all could be had.
  const std::map<std::uint32_t, Missing>& missing() const { return missing_; }
  // Of the sink.
  const std::optional<base::Failure>& failure() const { return failure_; }
  std::pair<int, std::string> waits_for(int me) const;

 private:
  enum class State : std::uint8_t { kUnasked, kAsked, kHere, kLost };
  struct One {
    core::Cell cell;
    core::Row row;
    State state = State::kUnasked;
    bool wanted = false;
    bool put = false;
    bool known = true;          // its row
    bool row_wanted = false;    // it is not, and the sink gets the table
    std::size_t candidate = 0;  // the next to be asked
    int damaged = 0;            // how often it was right there, and wrong here
    int input = -1;             // of the decoder, where it is added up
  };
  struct Group {
    std::int64_t number = 0;
    std::vector<One> ones;
    std::vector<std::size_t> to_ask;
    std::size_t busy = 0;  // asked for, or on the I/O threads
    bool again = false;    // something more is lost: begin again
    bool finished = false;
    bool rows_put = false;
    std::vector<std::size_t> lost;  // being rebuilt
    std::optional<core::Combination> decoder;
    std::vector<std::vector<std::byte>> sums;
    std::mutex mutex;
  };
  using GroupUse = std::shared_ptr<Group>;
  // A chunk that has come, and what an I/O thread makes of it.
  struct Arrived {
    GroupUse group;
    std::size_t index = 0;
    StripeClient::Answer answer;
    bool right = false;
    std::optional<base::Failure> failure;
  };
  bool open_groups();
  bool open(std::int64_t number);
  void plan(const GroupUse& group);
  bool rebuild(Group& group);
  bool ask(const GroupUse& group);
  void arrived(const GroupUse& group, std::size_t index, const StripeClient::Answer& answer);
  bool take();
  void examine(Arrived& arrived);
  void taken(const GroupUse& group, std::size_t index, bool right, const std::optional<base::Failure>& failure);
  void next_candidate(const GroupUse& group, std::size_t index);
  void finish(const GroupUse& group);
  void finish_rebuilt(const GroupUse& group);
  void give_up(Group& group);
  void put_rows(Group& group);
  const std::vector<Seen>& candidates(const One& one) const;

  Workers& io_;
  const core::StripeManifest& manifest_;
  core::Stripe stripe_;
  const Sight& sight_;
  core::CellSink& sink_;
  Settings settings_;
  StripeClient client_;
  StripeTable table_;
  std::size_t most_rebuilding_;
  std::int64_t next_group_;
  std::list<GroupUse> groups_;
  std::vector<Arrived> arrived_;
  std::size_t arrived_bytes_ = 0;
  std::size_t tasks_ = 0;
  bool stopped_ = false;
  bool ended_ = false;
  Counts counts_;
  std::map<std::uint32_t, Missing> missing_;
  std::optional<base::Failure> failure_;
};

}  // namespace argosy::engine
