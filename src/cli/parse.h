// The command line: words to typed options, or to the text that ends the program at once (help, version, wrong usage).
// Reads nothing but its arguments and starts nothing.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "command/options.h"

namespace argosy::cli {

struct Parsed {
  // Set: run this (its start_directory isn't filled yet). Otherwise print `out` and `err`, and end with `exit`.
  std::optional<command::Options> options;
  int exit = 0;
  std::string out;  // for standard output
  std::string err;  // for standard error
};

// `words` is the command line without the program's name.
Parsed parse(const std::vector<std::string>& words);

}  // namespace argosy::cli
