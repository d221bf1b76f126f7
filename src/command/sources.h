// The files that a command line names, as the rank that reads them sees them.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/fd.h"
#include "command/options.h"
#include "file/reader.h"

namespace argosy::command {

// Every source with its path and its name at the destination. Blocks (the list is read): for I/O threads. Throws
// base::Error: kUsage where names clash, are missing or lead out of the destination, kSource where the list can't be
// read.
std::vector<file::Named> resolve(const Sources& sources, const std::string& start_directory,
                                 const std::function<base::Fd()>& open_standard_input);

// What of them is moved. Blocks (lists are read). Throws base::Error: kUsage where something is no pattern, kSource
// where a list can't be read. `from0`: what is in lists ends in NUL. A list may be standard input where there is a
// function that opens it.
file::Selection selection_of(const TreeOptions& tree, const std::string& start_directory, bool from0 = false,
                             const std::function<base::Fd()>& open_standard_input = nullptr);

file::Metadata metadata_of(const TreeOptions& tree);

}  // namespace argosy::command
