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

}  // namespace argosy::command
