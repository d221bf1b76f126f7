// `argosy verify`: two trees, one tree on every node, a tree and a saved manifest, or a striped file.
#pragma once

#include "command/move.h"
#include "command/options.h"
#include "command/phases.h"
#include "command/report.h"
#include "file/metadata.h"
#include "mpi/session.h"

namespace argosy::command {

// Collective; see run().
Report verify(const Options& options, const VerifyOptions& asked, mpi::Session& session,
              const Surroundings& surroundings);

// Collective: `verify --nodes` into `report`; what the ranks agreed on. verify_nodes.cpp.
mpi::Verdict verify_nodes(Phases& phases, const std::string& directory, const file::Metadata& what, Report& report,
                          Observer* observer, bool json);

// Collective: `verify --stripes`, whether a striped file can still be had. The report as verify() returns it.
// verify_stripes.cpp.
Report verify_stripes(const Options& options, const StripeName& stripe, mpi::Session& session,
                      const Surroundings& surroundings);

}  // namespace argosy::command
