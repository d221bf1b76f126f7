// The transfer of a fetch on one rank: what it is of dealer, worker, member and way between them, put together and run
// as one phase.
#pragma once

#include <memory>
#include <span>

#include "command/fetch_dealer.h"
#include "command/fetch_layout.h"
#include "command/move.h"
#include "command/options.h"
#include "command/phases.h"
#include "command/report.h"
#include "file/beneath.h"

namespace argosy::command {

class FetchTransfer {
 public:
  // All outlive it.
  struct Task {
    const CommonOptions& options;
    const Surroundings& surroundings;
    mpi::Session& session;
    Phases& phases;
    const FetchLayout& layout;
    std::span<std::byte> memory;           // the rank's slots
    const file::Folder* folder = nullptr;  // where it writes; null where it does not
    // Rank 0; elsewhere null.
    Dealer* dealer = nullptr;
    const Setup* setup = nullptr;
  };
  explicit FetchTransfer(const Task& task);
  ~FetchTransfer();
  FetchTransfer(const FetchTransfer&) = delete;
  FetchTransfer& operator=(const FetchTransfer&) = delete;

  // Collective: until all is fetched or given up. The number of the signal that interrupted it, or 0. Throws as
  // Phases::run.
  int run();
  // After run(): what was done on this rank.
  void tell(Report& report, RankReport& rank) const;
  // After run(), on an I/O thread: takes away what has not become a file, but for what the next run goes on with.
  void remove_unfinished();

 private:
  class Rank;
  std::unique_ptr<Rank> rank_;
};

}  // namespace argosy::command
