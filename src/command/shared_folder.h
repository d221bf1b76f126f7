// Folders on several nodes may be one, on a file system that all see: then one rank writes.
#pragma once

#include "command/phases.h"
#include "file/beneath.h"

namespace argosy::command {

// Collective: finds out which ranks' folders are one; `folder` is null on ranks that have none. True on the lowest rank
// of those that share one, and where nobody shares.
bool is_lowest_of_folder(Phases& phases, const file::Folder* folder);

}  // namespace argosy::command
