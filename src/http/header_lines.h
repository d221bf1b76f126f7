// The file of --header-file: header fields that go with requests.
#pragma once

#include <string>
#include <vector>

namespace argosy::http {

// Reads "Name: value" lines. Throws base::Error (kUsage) that names the line but none of its text: it may be a secret.
std::vector<std::string> parse_header_lines(const std::string& text, const std::string& source);

}  // namespace argosy::http
