// The names and options of commands that take FILE... DIR.
#pragma once

#include <string>
#include <vector>

#include "cli/values.h"
#include "command/options.h"

namespace argosy::cli {

// --save-manifest; `where` says on which host.
void add_manifest_option(CLI::App& command, Texts& texts, const char* where = "the same");

// Which files of a folder: --exclude and the like.
void add_select_options(CLI::App& command, Texts& texts, command::TreeOptions& tree);

// What of a file besides its data: --no-owner and the like.
void add_metadata_options(CLI::App& command, command::TreeOptions& tree);

// Both, and how the whole is done.
void add_tree_options(CLI::App& command, Texts& texts, command::TreeOptions& tree);

// --exclude, --include and --exclude-from, in the order in which they stand.
std::vector<command::SelectRule> select_rules(const std::vector<std::pair<std::string, std::string>>& values);

void add_source_options(CLI::App& command, Texts& texts, bool& from0);

// The sources that `command`'s options and names give; returns the last name, the folder. Throws base::Error (kUsage).
std::string take_sources(const CLI::App& command, const Texts& texts, std::vector<std::string> names,
                         command::Sources& sources);

// The rules that sources must keep before anything is started; `reader` is the rank that reads them. Throws base::Error
// (kUsage).
void validate_sources(const command::Sources& sources, int reader);

// The same for a folder's name with templates.
void validate_directory(const std::string& directory);

}  // namespace argosy::cli
