// The process that the user started, where nobody else started the job: it starts the job with our MPI's mpiexec, owns
// the terminal while the job runs, and turns the job's end into output and an exit code. It never starts MPI itself.
#pragma once

#include <string>
#include <vector>

#include "command/options.h"

namespace argosy::cli {

// Runs the whole job; `words` is the user's command line. Blocks until the job and every process of it that this
// machine has is gone. Returns the exit code of DESIGN.md's table; everything there is to say has been printed.
int supervise(const command::Options& options, const std::vector<std::string>& words);

}  // namespace argosy::cli
