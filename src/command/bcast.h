// `argosy bcast`: rank 0's files on every node's own disk, at the speed of one card.
#pragma once

#include "command/move.h"
#include "command/options.h"
#include "command/report.h"
#include "mpi/session.h"

namespace argosy::command {

// Collective; see move_files.
Report bcast(const Options& options, const BcastOptions& asked, mpi::Session& session,
             const Surroundings& surroundings);

// What limited a transfer that took `seconds`: the busiest card, disk, source or hash of all ranks', such as
// "network into h5 (97 % busy)". Of links that are equally busy it is the one that kept the others waiting.
std::string limiting_stage(const std::vector<RankReport>& ranks, double seconds);

}  // namespace argosy::command
