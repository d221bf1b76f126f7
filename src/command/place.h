// Paths as the command line gives them, on the rank where they are used.
#pragma once

#include <string>

namespace argosy::command {

// `path`, beginning in `start` when it is relative. Lexical: the folder need not exist here.
std::string absolute(const std::string& start, const std::string& path);

// The last component of `path`, trailing slashes aside; empty for "/".
std::string base_name(const std::string& path);

// `directory` with its templates filled in: %r the rank that owns the folder, %h its host's name up to the first dot,
// %% a percent sign. Other templates have been refused by the command line.
std::string expand(const std::string& directory, int rank, const std::string& host);

// Whether `directory` has a template of this letter.
bool has_template(const std::string& directory, char letter);

}  // namespace argosy::command
