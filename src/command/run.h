// From what was asked for to the command that does it.
#pragma once

#include "command/move.h"
#include "command/options.h"
#include "command/report.h"
#include "mpi/session.h"

namespace argosy::command {

// Collective. The report is whole at rank 0; its exit code stands on every rank. Throws base::Error when the job can't
// go on: the caller then ends it on all ranks.
Report run(const Options& options, mpi::Session& session, const Surroundings& surroundings);

}  // namespace argosy::command
