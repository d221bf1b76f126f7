// How a job ended, put together by the supervisor from what reaches it: a report, a signal, a failure that it noticed
// itself, or a death that only mpiexec's last words tell of. Pure: it starts and prints nothing.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "cli/render.h"
#include "command/options.h"
#include "command/report.h"

namespace argosy::cli {

class Outcome {
 public:
  // `command` is the command's name, for a report that no rank has made.
  explicit Outcome(std::string_view command) : command_(command) {}

  // Rank 0's report: it stands, whatever happens afterwards.
  void set_result(command::Report report) { result_ = std::move(report); }
  // The user asked to stop; the first signal counts.
  void set_signal(int signal_number) {
    if (signal_ == 0) signal_ = signal_number;
  }
  // A failure that the supervisor noticed; `line` is what the user is shown of it. The first one's `exit` counts.
  void add_failure(int exit, base::Failure failure, std::string line);
  // The same with kind system, exit 6 and the message as the line.
  void add_failure(std::string message);
  // A line "argosy: ..." that a rank printed and the user has seen: it isn't said again.
  void note_shown(std::string_view line) { shown_.emplace(line); }
  // The job is gone and said nothing: what mpiexec's status (nothing where it had to be killed) and output tell.
  void add_death(std::optional<int> wait_status, std::string_view output, bool output_was_shown);

  bool has_result() const { return result_.has_value(); }
  // A rank has said itself why the job can't go on.
  bool has_shown() const { return !shown_.empty(); }
  bool has_failed() const { return !failures_.empty(); }
  int signal() const { return signal_; }

  // The job's report, made from the failures where no rank made one. `start` and `total` are the supervisor's times.
  command::Report report(double start, double total) const;
  // What to print of it.
  Rendered rendered(const command::Report& report, const command::CommonOptions& options) const;

 private:
  std::string command_;
  std::optional<command::Report> result_;
  int signal_ = 0;
  int exit_ = 0;
  std::vector<base::Failure> failures_;
  std::vector<std::string> lines_;
  std::set<std::string, std::less<>> shown_;
};

}  // namespace argosy::cli
