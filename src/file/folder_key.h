// Which folders of several ranks are one and the same, found out without writing into them.
#pragma once

#include <string>

namespace argosy::file {

// A text that two ranks have in common when the folder `path` is the same on both: on one kernel by its device and
// inode number; on a file system of the network by its inode number and times, since each host has a device number of
// its own. Follows symbolic links. Blocks. Throws base::Error (kSource) about `shown`: it is no folder.
std::string folder_key(const std::string& path, const std::string& shown);

}  // namespace argosy::file
