// Takes away what interrupted runs have left below a folder: files and journals beside their targets, locks that nobody
// holds, trees that were never shown, stripes and downloads. What a run that is under way works on stays.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/error.h"

namespace argosy::file {

struct Cleaned {
  std::int64_t removed = 0;
  std::int64_t bytes = 0;         // that they took on the disk
  std::vector<std::string> busy;  // folders and targets that another run works on
  std::vector<base::Failure> failures;
};

// Blocks. Throws base::Error (kDestination): `directory` can't be read.
Cleaned clean(const std::string& directory);

}  // namespace argosy::file
