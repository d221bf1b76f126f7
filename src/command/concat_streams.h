// The streams of `gather --concat` on one rank: a giver has one, that goes to the receiver; the receiver has one from
// each giver, as many at once as its memory allows, and the others wait their turn. Each is a transfer of its own
// (engine/transfer), so that a giver that fails, or is slow, holds up no other.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/failures.h"
#include "command/concat_memory.h"
#include "core/endpoint.h"
#include "core/route.h"
#include "engine/transfer.h"
#include "engine/workers.h"
#include "mpi/session.h"

namespace argosy::command {

class ConcatStreams {
 public:
  struct Setup {
    int receiver = 0;
    std::vector<int> givers;  // those whose streams run; the lowest first
    ConcatMemory memory;
    engine::Transfer::Settings settings;
    core::Source* source = nullptr;                                 // where this rank gives
    std::function<std::unique_ptr<core::Sink>(int giver)> sink_of;  // at the receiver
  };
  // What has come of the streams that are over, and so far of the others.
  struct Totals {
    std::int64_t bytes_read = 0;
    base::Failures origin_failures;
    base::Failures destination_failures;
    std::map<int, engine::LinkMeter> links;
  };
  // `slots`, `session` and `workers` outlive it.
  ConcatStreams(mpi::Session& session, engine::Workers& workers, std::span<std::byte> slots, Setup setup);

  // As of a transfer; see there.
  bool step();
  bool done() const;
  void stop();
  void sample(double passed);
  std::pair<int, std::string> waits_for() const;
  double network_wait() const { return network_wait_; }
  // At the receiver, without digest and name.
  engine::Destination::Counts counts() const;
  Totals totals() const;

 private:
  struct Stream {
    int giver = 0;
    std::size_t place = 0;  // of its slots, at the receiver
    std::unique_ptr<core::Route> route;
    std::optional<engine::Pools> pools;
    std::unique_ptr<core::Sink> sink;
    std::unique_ptr<engine::Transfer> transfer;
  };
  void start(int giver, std::size_t place);
  void start_waiting();
  static void add(engine::Destination::Counts& counts, const engine::Transfer& transfer);
  static void add(Totals& totals, const engine::Transfer& transfer);

  mpi::Session& session_;
  engine::Workers& workers_;
  std::span<std::byte> slots_;
  Setup setup_;
  int me_;
  bool stopped_ = false;
  std::deque<int> waiting_;          // givers whose turn has not come
  std::vector<std::size_t> places_;  // that are free
  std::vector<std::unique_ptr<Stream>> streams_;
  engine::Destination::Counts counted_;  // of streams that are over
  Totals over_;
  double network_wait_ = 0;
};

}  // namespace argosy::command
