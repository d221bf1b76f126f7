// `argosy clean`: takes away what interrupted runs have left below DIR, on every node.
#pragma once

#include "command/move.h"
#include "command/options.h"
#include "command/report.h"
#include "mpi/session.h"

namespace argosy::command {

// Collective; see run().
Report clean(const Options& options, const CleanOptions& asked, mpi::Session& session,
             const Surroundings& surroundings);

}  // namespace argosy::command
