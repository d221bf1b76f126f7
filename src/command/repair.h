// `argosy repair`: the lost and damaged shares of a stripe, put back from the others.
#pragma once

#include "command/move.h"
#include "command/options.h"
#include "command/report.h"
#include "mpi/session.h"

namespace argosy::command {

// Collective. The report is whole at rank 0; its exit code stands on every rank.
Report repair(const Options& options, const RepairOptions& asked, mpi::Session& session,
              const Surroundings& surroundings);

}  // namespace argosy::command
