// `argosy fetch`: objects of HTTP origins, downloaded by all ranks, to where they are needed.
#pragma once

#include "command/move.h"
#include "command/options.h"
#include "command/report.h"
#include "mpi/session.h"

namespace argosy::command {

// Collective; see move_files.
Report fetch(const Options& options, const FetchOptions& asked, mpi::Session& session,
             const Surroundings& surroundings);

}  // namespace argosy::command
