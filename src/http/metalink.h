// Metalink (RFC 5854): files with their mirrors and checksums in XML.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "http/list.h"

namespace argosy::http {

// Its beginning says so.
bool is_metalink(std::string_view text);

// The files of a Metalink, their http and https mirrors in order of priority; other places are left out. Throws
// base::Error (kUsage) where it is malformed, or has a file without a place to fetch it from.
std::vector<Wanted> parse_metalink(const std::string& text, const std::string& source);

}  // namespace argosy::http
