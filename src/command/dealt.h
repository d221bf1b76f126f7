// What `digest` and `verify` have in common: work dealt over all ranks, and lines on standard output.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "base/bytes.h"
#include "base/error.h"
#include "command/move.h"
#include "command/phases.h"
#include "engine/deal.h"

namespace argosy::command {

// Lines on their way to standard output, or into the report where that is one JSON document. Rank 0, main thread.
class Lines {
 public:
  Lines(Observer* observer, bool json, Report& report) : observer_(observer), json_(json), report_(report) {}
  void add(const std::string& line);
  // What is left; before the report.
  void flush();

 private:
  Observer* observer_;
  bool json_;
  Report& report_;
  std::string text_;
};

// Collective: a phase in which `work` is dealt out; what the ranks agreed on at its end.
mpi::Verdict run_dealt(Phases& phases, const std::string& name, engine::Deal::Work work);

// A failure as bytes, from the rank that had it to rank 0, and back.
void put_failure(base::Writer& writer, const base::Failure& failure);
base::Failure get_failure(base::Reader& reader);

// Collective: the end of a command without a transfer.
Report finish_dealt(Phases& phases, mpi::Session& session, Report report, int interrupted);

}  // namespace argosy::command
