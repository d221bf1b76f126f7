// The digest of a file that is on disk.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/digest.h"

namespace argosy::file {

// Of the first `length` bytes of what `fd` refers to. Blocks. Nothing where they can't be read, are fewer, or the job
// is asked to stop.
std::optional<base::Digest> digest_of_fd(int fd, std::int64_t length);

// The same by name.
std::optional<base::Digest> digest_of_file(const std::string& path, std::int64_t length);

}  // namespace argosy::file
