// `argosy send`: files from one rank to another, over a direct route.
#pragma once

#include "command/move.h"
#include "command/options.h"
#include "command/report.h"
#include "mpi/session.h"

namespace argosy::command {

// Collective; see move_files.
Report send(const Options& options, const SendOptions& asked, mpi::Session& session, const Surroundings& surroundings);

}  // namespace argosy::command
