// Files that are lists.
#pragma once

#include <string>
#include <vector>

#include "base/fd.h"

namespace argosy::file {

// The names in a list file, one a line, or with `nul` each ended by a NUL; empty ones are left out. `list` is its path.
// Throws base::Error (kSource).
std::vector<std::string> read_list(const base::Fd& list, const std::string& path, bool nul);
// All of a file that is a list.
std::string read_text(const base::Fd& list, const std::string& path);

}  // namespace argosy::file
