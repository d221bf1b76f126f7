// The manifest that `fetch --save-manifest` saves: rank 0 knows what has been fetched or was in place, and the first
// rank that writes has it on its disk.
#pragma once

#include <string>
#include <vector>

#include "file/beneath.h"

namespace argosy::command {

// A file in the folder.
struct Placed {
  std::string name;
  std::string digest;  // "xxh3:HEX"; empty: it was in place
};

// As bytes, from rank 0 to the rank that saves.
std::string text_of(const std::vector<Placed>& placed);

// Saves in `path` what `folder` has of the files that `text` names. What could not be put in the folder, as its rank
// has reported, is left out. Blocks. Throws base::Error: kDestination where the manifest can't be written, kIntegrity
// where `text` is damaged.
void save_fetched(const std::string& path, const std::string& text, const file::Folder& folder);

}  // namespace argosy::command
