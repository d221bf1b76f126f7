// `argosy digest`: the digests of files, spread over all ranks, each of which sees them.
#pragma once

#include "command/move.h"
#include "command/options.h"
#include "command/report.h"
#include "mpi/session.h"

namespace argosy::command {

// Collective; see run().
Report digest(const Options& options, const DigestOptions& asked, mpi::Session& session,
              const Surroundings& surroundings);

// A line as sha256sum writes it, without newline: a name with a backslash, a newline or a carriage return is escaped,
// and a backslash in front says so.
std::string digest_line(const std::string& digest, const std::string& path);

}  // namespace argosy::command
