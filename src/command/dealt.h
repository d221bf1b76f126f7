// What `digest` and `verify` have in common: work dealt over all ranks.
#pragma once

#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "base/failures.h"
#include "command/phases.h"
#include "engine/deal.h"

namespace argosy::command {

// Collective: a phase in which `work` is dealt out; what the ranks agreed on at its end.
mpi::Verdict run_dealt(Phases& phases, const std::string& name, engine::Deal::Work work);

// A failure as bytes, from the rank that had it to rank 0, and back.
void put_failure(base::Writer& writer, const base::Failure& failure);
base::Failure get_failure(base::Reader& reader);

// The ranks that have a folder of their own by this name: all with %r in it, else each node's leader. Rising.
std::vector<int> owners(const mpi::Session& session, const std::string& directory);

// Collective: the end of a command without a transfer. Of `failures` those without a rank are this one's. An interrupt
// explains by itself what it cut short.
Report finish_dealt(Phases& phases, Report report, base::Failures failures, int interrupted);

}  // namespace argosy::command
