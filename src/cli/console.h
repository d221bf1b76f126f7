// Rank 0's side of everything the user sees: where argosy started the job it is the channel to the supervisor, under
// somebody else's launcher rank 0's own terminal.
#pragma once

#include <memory>
#include <string>

#include "base/fd.h"
#include "cli/launcher.h"
#include "command/move.h"
#include "command/options.h"
#include "command/report.h"

namespace argosy::cli {

// Main thread only, like command::Observer. Ask interrupted() at least once a second, from every loop: that is also how
// the supervisor knows that rank 0 lives.
class Console : public command::Observer {
 public:
  // Hands over the job's result; call it once, when it stands. Blocks, bounded by seconds. Returns the code with which
  // rank 0 shall end: 0 where the supervisor ends with the report's (a launcher would bury anything else in a banner).
  virtual int finish(const command::Report& report) = 0;
  // The user's standard input, to be read(2) until it ends; a supervisor that dies makes it fail, not end. Throws
  // base::Error (kSystem) where it can't be reached. Blocks for two seconds at most.
  virtual base::Fd open_standard_input() = 0;
  // The user's standard output, for data and nothing else. Throws base::Error (kSystem) where it can't be reached.
  // Blocks for two seconds at most. Any thread.
  virtual command::StandardOutput open_standard_output() = 0;
};

// For rank 0 alone. Blocks for a few seconds at most; throws base::Error (kSystem) where the supervisor can't be
// reached.
std::unique_ptr<Console> open_console(const Launch& launch, const command::CommonOptions& options);

}  // namespace argosy::cli
