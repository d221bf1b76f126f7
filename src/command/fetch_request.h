// What a fetch is asked for, read on rank 0's host: lists, header lines, certificates.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/fd.h"
#include "command/fetch_wire.h"
#include "command/options.h"
#include "http/list.h"

namespace argosy::command {

struct FetchRequest {
  std::vector<http::Wanted> wanted;
  Setup setup;
};

// Blocks. Throws base::Error: kUsage where something has no sense, kSource where a file can't be read.
FetchRequest read_request(const FetchOptions& asked, const std::string& start_directory,
                          const std::function<base::Fd()>& open_standard_input);

}  // namespace argosy::command
