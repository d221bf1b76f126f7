// What scatter, gather, repair and verify have in common: the phases, this rank's report, and how memory is divided
// between whoever deals or collects and the others.
#pragma once

#include <chrono>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "command/move.h"
#include "command/options.h"
#include "command/phases.h"
#include "command/report.h"
#include "core/stripe_manifest.h"
#include "engine/pool.h"
#include "mpi/session.h"

namespace argosy::command {

// How chunks travel: one a message, or several where they are small.
struct Parcels {
  std::size_t bundle = 1;   // chunks in a message
  std::size_t payload = 0;  // bytes of chunks in a message
  std::size_t slot = 0;     // bytes of a slot
};

// The same on every rank. `messages` are wanted at once on the rank that deals or collects.
Parcels parcels_for(std::int64_t chunk_size, std::int64_t memory, std::size_t messages);

class StripeJob {
 public:
  StripeJob(const Options& asked, mpi::Session& ranks, const Surroundings& around, std::string_view command);

  static constexpr int kEveryRank = -1;
  // Collective, blocks: takes this rank's memory. `center` is the rank that deals or collects (or every rank, in turn),
  // and wants up to `most` slots, at least `least`; `reserve` bytes of its part stay unused. False, on every rank,
  // where --memory has no room.
  bool allocate(const Parcels& parcels, int center, std::size_t least, std::size_t most, std::size_t reserve);
  // This rank's slots as the center (none elsewhere), and those for its part as a worker.
  engine::Pool center_pool() const;
  engine::Pool worker_pool() const;

  // A task that ends in an agreement. What it throws becomes this rank's failure (failure()), and is not yet reported.
  mpi::Verdict run_task(const std::function<void()>& task, const char* phase);
  // This failure goes into the report, signed here where nobody has signed it.
  void report_failure(base::Failure failure);
  void report_failures(base::Failures failures);
  // The last phase.
  Report finish();

  const Options& options;
  mpi::Session& session;
  const Surroundings& surroundings;
  int me;
  Phases phases;
  Report report;
  RankReport rank;
  int interrupted = 0;

 private:
  std::chrono::steady_clock::time_point start_;
  std::span<std::byte> memory_;
  Parcels parcels_;
  std::size_t center_slots_ = 0;
  base::Failures errors_;
};

// What the report says of every stripe.
StripeReport describe(const core::StripeManifest& manifest);

}  // namespace argosy::command
