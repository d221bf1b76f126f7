// `argosy gather --concat`: every rank's own files, in one rank's folder.
#pragma once

#include "command/move.h"
#include "command/options.h"
#include "command/report.h"
#include "mpi/session.h"

namespace argosy::command {

// Collective. The report is whole at rank 0; its exit code stands on every rank.
Report concat(const Options& options, const GatherOptions& asked, mpi::Session& session,
              const Surroundings& surroundings);

}  // namespace argosy::command
