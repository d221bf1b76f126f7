// File names that an origin proposes, made safe: whatever it says, one name in the folder that the user chose.
#pragma once

#include <string>
#include <string_view>

namespace argosy::http {

// One component of a path: what stands before the last '/' or '\' goes, control characters (those that turn the
// direction of writing around, too), what is not UTF-8, and a leading dot become '_', and of too long a name the middle
// is left out, so that its ending stays. "index.html" where nothing is left.
std::string safe_name(std::string_view proposed);

// `name` with ".1", ".2", ... behind it, still at most 255 bytes.
std::string numbered(const std::string& name, int number);

}  // namespace argosy::http
