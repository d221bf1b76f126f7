// `argosy scatter`: a file's chunks dealt over workers, each chunk acknowledged.
#pragma once

#include "command/move.h"
#include "command/options.h"
#include "command/report.h"
#include "mpi/session.h"

namespace argosy::command {

// Collective. The report is whole at rank 0; its exit code stands on every rank.
Report scatter(const Options& options, const ScatterOptions& asked, mpi::Session& session,
               const Surroundings& surroundings);

}  // namespace argosy::command
