// A folder made again from its bytes (tree_pack.h). They come from disks of other hosts and are hostile until checked:
// nothing is written outside the folder, and lengths are bounded before memory is taken.
#pragma once

#include <cstdint>
#include <string>

#include "base/failures.h"
#include "file/writer.h"

namespace argosy::file {

struct Unpacked {
  std::int64_t files = 0;  // in place, links and special files among them
  std::int64_t folders = 0;
  std::int64_t bytes = 0;  // of the files
  base::Failures failures;
};

// Whether the `size` bytes of `fd` are a folder's, without making it. `shown` is what messages call it. Blocks. Throws
// base::Error: kIntegrity where they are not, kDestination where they can't be read or an interrupt ends it.
void check_tree(int fd, std::int64_t size, const std::string& shown);

// Has `writer` make the folder `name` of them. What has been used of `fd` is given back to the file system, so that the
// folder does not take twice its room. `digests`: the writer is to know those of the files. Blocks. Throws as
// check_tree does.
Unpacked unpack_tree(int fd, std::int64_t size, const std::string& name, Writer& writer, const std::string& shown,
                     bool digests);

}  // namespace argosy::file
