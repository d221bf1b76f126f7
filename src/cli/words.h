// The words of a command line, told apart. Which words are options at all is decided here, and not by CLI11: names are
// bytes, and CLI11 takes "[a]" for a list, "++" for the end of a command, "-5" for a name and an empty value for none.
#pragma once

#include <CLI/App.hpp>
#include <string>
#include <utility>
#include <vector>

namespace argosy::cli {

struct Words {
  std::vector<std::string> options;  // as CLI11 is to see them: "--name", or "--name" and its value
  std::vector<std::pair<std::string, std::string>> values;  // options with a value, in their order
  bool help = false;
  bool version = false;
  CLI::App* command = nullptr;
  std::vector<std::string> names;
};

// Throws base::Error (kUsage).
Words sort_words(CLI::App& app, const std::vector<std::string>& words);

}  // namespace argosy::cli
