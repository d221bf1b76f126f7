// `argosy gather`: a striped file, whole again on one rank.
#pragma once

#include "command/move.h"
#include "command/options.h"
#include "command/report.h"
#include "mpi/session.h"

namespace argosy::command {

// Collective. The report is whole at rank 0; its exit code stands on every rank.
Report gather(const Options& options, const GatherOptions& asked, mpi::Session& session,
              const Surroundings& surroundings);

}  // namespace argosy::command
