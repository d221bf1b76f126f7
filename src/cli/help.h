// The texts of --help and --version: the user's documentation, beside the options' own lines.
#pragma once

#include <CLI/App.hpp>
#include <memory>
#include <string>
#include <vector>

#include "cli/command_line.h"

namespace argosy::cli {

// `argosy` alone.
std::string short_usage(const std::vector<std::unique_ptr<CommandLine>>& lines);

// The help of argosy, and of one of its commands; the options come from the parser's own table.
std::string help_text(const CLI::App& app);
std::string help_text(const CLI::App& app, const CLI::App& command, const CommandLine& line);

// "argosy 0.1.0 (Open MPI v4.1.4)", from the text that the MPI library describes itself with.
std::string version_text(const std::string& mpi_library);

}  // namespace argosy::cli
