// `argosy verify --stripes`: whether a striped file can still be had.
#pragma once

#include "command/move.h"
#include "command/options.h"
#include "command/report.h"
#include "mpi/session.h"

namespace argosy::command {

// Collective. The report is whole at rank 0; its exit code stands on every rank.
Report verify(const Options& options, const VerifyOptions& asked, mpi::Session& session,
              const Surroundings& surroundings);

}  // namespace argosy::command
