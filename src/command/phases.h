// What every command runs on: the ranks' session, the I/O threads, the pulse, and the loop in which a phase goes on
// until all ranks agree how it ended. A command lists its phases; it can't forget the agreement, since run() is the
// only way to have one.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/watchdog.h"
#include "command/options.h"
#include "command/report.h"
#include "engine/pulse.h"
#include "engine/workers.h"
#include "mpi/session.h"

namespace argosy::command {

// A phase on one rank. Every member is called on the main thread and returns at once; step() may throw base::Error,
// which ends the job on all ranks.
struct Phase {
  std::string name;                       // as progress shows it
  std::function<bool()> step;             // does what can be done now; true when anything was
  std::function<bool()> done;             // this rank has no work left; step() is called all the same
  std::function<mpi::Verdict()> verdict;  // asked once, when done
  std::function<void()> stop = [] {};     // the job has been asked to stop
  std::function<engine::Pulse::Status()> status = [] { return engine::Pulse::Status{}; };
  std::function<void(double)> sample = [](double) {};  // about every millisecond, with the seconds since the last
};

class Phases {
 public:
  // Collective. `observer` is null but on rank 0; everything outlives this.
  Phases(mpi::Session& session, const CommonOptions& options, Observer* observer);

  // Collective: runs `phase` until every rank is done; what they agreed on. Throws base::Error on every rank when a
  // peer broke the protocol or nothing has moved for the stall timeout: the caller ends the job. Rank 0's says why;
  // other ranks' has no message when rank 0 knows.
  mpi::Verdict run(const Phase& phase);
  // Collective: a phase that is one task on an I/O thread of the ranks that give one; the others give null. What the
  // task throws becomes this rank's failure; `verdict` may add counts, and runs after the task.
  mpi::Verdict run_task(const std::string& name, std::function<void()> task, std::function<mpi::Verdict()> verdict);
  // What the last run_task's task threw on this rank.
  const std::optional<base::Failure>& failure() const { return failure_; }
  // Collective: the last phase. Every rank's report, merged at rank 0 into one, with exit code and errors. Of `rank` it
  // fills in which one this is and its memory; of `mine` it keeps so many errors as a report has.
  Report finish(Report mine, RankReport rank, int interrupted);

  // What progress is measured against.
  void expect(std::int64_t bytes, std::int64_t files) { expected_ = {{}, 0, bytes, 0, files}; }
  // Fills in rank and host of failures that happened here.
  std::vector<base::Failure> signed_here(std::vector<base::Failure> failures) const;
  // The same of those that no rank has signed.
  std::vector<base::Failure> signed_where_missing(std::vector<base::Failure> failures) const;

  mpi::Session& session() { return session_; }
  engine::Workers& workers() { return workers_; }

 private:
  static void merge(const std::vector<std::string>& texts, Report& whole);
  mpi::Verdict go(const Phase& phase);
  [[noreturn]] void fail(base::Failure failure);
  void watch(const Phase& phase);
  void rest(bool busy);

  mpi::Session& session_;
  const CommonOptions& options_;
  Observer* observer_;
  engine::Workers workers_;
  engine::Pulse pulse_;
  base::Watchdog watchdog_;
  Progress expected_;
  std::optional<base::Failure> failure_;
  std::chrono::steady_clock::time_point idle_since_;
  std::chrono::steady_clock::time_point watched_;
};

// The stall timeout in seconds, made long enough for a few chunks at the bandwidth limit.
double patience(const CommonOptions& options);

}  // namespace argosy::command
