// What a scatter would deal, as --dry-run lists it.
#pragma once

#include <cstddef>

#include "command/lines.h"
#include "command/scatter_source.h"
#include "command/stripe_job.h"

namespace argosy::command {

// Collective, each. `source` and `lines` are the root's.

// A folder is to be read from its beginning. False, on every rank, where it can't be had; why is reported.
bool open_folder(StripeJob& job, ScatterSource& source, int root, std::size_t entry);
// The names of the entry and, of a folder, of all that is in it: a page at a time.
void list_names(StripeJob& job, ScatterSource& source, int root, std::size_t entry, Lines& lines);

}  // namespace argosy::command
