// What --verbose shows: lines on stderr with time, rank and host. Errors do not come this way: they are the report's.
#pragma once

#include <string_view>

namespace argosy::base {

// Sets this process's name in the log ("rank 1 on h2") and whether anything is shown. Call once, before threads start.
void open_log(std::string_view who, bool verbose);

// "argosy: LINE" on stderr, verbose or not: a last word where nobody else can say it.
void complain(std::string_view line);

// One line, shown only with --verbose. Any thread.
void log(std::string_view line);

}  // namespace argosy::base
