// `argosy send`: files from one rank to another, over a direct route.
#pragma once

#include <functional>
#include <string>

#include "base/fd.h"
#include "command/options.h"
#include "command/report.h"
#include "mpi/session.h"

namespace argosy::command {

// What a command gets from whoever started it on this rank.
struct Surroundings {
  Observer* observer = nullptr;  // null but on rank 0
  std::function<base::Fd()> open_standard_input;
};

// Collective. The report is whole at rank 0; its exit code stands on every rank. Throws base::Error when the job can't go
// on: the caller then ends it on all ranks.
Report send(const Options& options, mpi::Session& session, const Surroundings& surroundings);

}  // namespace argosy::command
