// Lists of what to fetch: a line each, or a Metalink (metalink.h).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "http/checksum.h"

namespace argosy::http {

// Checksums of equal parts of a file; the last part may be shorter.
struct Pieces {
  std::int64_t length = 0;  // bytes; 0: there are none
  std::vector<Checksum> checksums;
};

// One object, from one or several places that have the same bytes.
struct Wanted {
  std::vector<std::string> urls;  // at least one, the best first
  std::string name;               // of the file, as the list gives it; empty: the origin's or the address's
  std::vector<Checksum> checksums;
  std::int64_t size = -1;  // as the list gives it
  Pieces pieces;
};

// A list of lines "URL", "URL NAME", "URL sha256:HEX" or "URL NAME sha256:HEX", blanks between, or of a Metalink's XML;
// which of the two, its beginning tells. Empty lines and those that begin with '#' are left out. `source` is what the
// list is called in messages. Throws base::Error (kUsage) that names the line.
std::vector<Wanted> parse_list(const std::string& text, const std::string& source);

}  // namespace argosy::http
