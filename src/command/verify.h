// `argosy verify`: two trees, one tree on every node, a tree and a saved manifest, or a striped file.
#pragma once

#include "base/failures.h"
#include "command/lines.h"
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

// Collective: `verify --nodes`; what the ranks agreed on. Lines and failures are rank 0's to report, and each rank's
// own. verify_nodes.cpp.
mpi::Verdict verify_nodes(Phases& phases, const std::string& start, const std::string& directory,
                          const file::Metadata& what, Report& report, Lines& lines, base::Failures& failures);

// Collective: the same of `verify --manifest` where DIR is another folder on each rank or host. verify_copies.cpp.
mpi::Verdict verify_copies(Phases& phases, const std::string& start, const VerifyOptions& asked,
                           const file::Metadata& what, Report& report, Lines& lines, base::Failures& failures);

// Collective: `verify --stripes`, whether a striped file can still be had. The report as verify() returns it.
// verify_stripes.cpp.
Report verify_stripes(const Options& options, const StripeName& stripe, mpi::Session& session,
                      const Surroundings& surroundings);

}  // namespace argosy::command
