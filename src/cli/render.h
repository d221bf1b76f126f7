// What a job's end looks like: the result line or the JSON document on standard output, errors on standard error.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"
#include "command/options.h"
#include "command/report.h"

namespace argosy::cli {

struct Rendered {
  std::string out;  // for standard output
  std::string err;  // for standard error
};

// Of a job that ended with `report`: whole lines, or nothing.
Rendered render(const command::Report& report, const command::CommonOptions& options);

// Behind what else is said of a job that was asked to stop: how it goes on. Empty where it can't, and for other exits.
std::string way_on(const command::Report& report, const command::CommonOptions& options);

// Makes a rendered document the rest of one whose first array has been written already (command::Lines).
void continue_document(Rendered& rendered);

// "sent big.bin: 1073741824 bytes (1.00 GiB) read, 1073741824 written and verified, 0.41 s, 2.6 GB/s, xxh3:..."
std::string result_line(const command::Report& report);

// The report of a command that ended before it had one: by wrong usage, or because its job died.
command::Report failed_report(std::string command, int exit, base::Failure failure);

// The name of the command that `options` is for, as the user types it.
std::string_view command_name(const command::Options& options);

// Writes all of it, waiting where the descriptor makes it wait; false when that fails.
bool write_all(int fd, std::string_view text);

// True when a short write won't block. Whoever has other work asks first: a pager or a stopped terminal need not read.
bool can_write(int fd);

// "argosy: LINE" on standard error, in one piece. There is nobody left to tell when that fails.
void complain(std::string_view line);

// Both parts, to standard output and standard error. Standard output that can't be written is said on standard error.
void print(const Rendered& rendered);

}  // namespace argosy::cli
