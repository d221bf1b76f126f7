#include "command/clean.h"

#include <fmt/format.h>

#include <chrono>
#include <functional>
#include <utility>

#include "command/dealt.h"
#include "command/phases.h"
#include "command/place.h"
#include "file/clean.h"

namespace argosy::command {

Report clean(const Options& options, const CleanOptions& asked, mpi::Session& session,
             const Surroundings& surroundings) {
  Report report;
  report.command = CleanOptions::kName;
  Phases phases(session, options.common, surroundings.observer);
  if (surroundings.observer != nullptr) surroundings.observer->started();
  const auto begun = std::chrono::steady_clock::now();
  const int me = session.rank();
  const std::string directory = absolute(options.start_directory, expand(asked.directory, me, session.host(me)));
  // One rank of a node is enough, where each has not a folder of its own.
  const bool acts = session.node_of(me) == me || asked.directory.find("%r") != std::string::npos;
  file::Cleaned cleaned;
  std::function<void()> task;
  if (acts) task = [&] { cleaned = file::clean(directory); };
  const mpi::Verdict all = phases.run_task("clean", task, [] { return mpi::Verdict{}; });
  base::Failures failures;
  if (phases.failure()) failures.add(*phases.failure());
  failures.add(std::move(cleaned.failures));
  for (const std::string& path : cleaned.busy)
    failures.add({base::Kind::kDestination, path, -1, {}, EBUSY, "in use by another run, and left alone"});
  const std::vector<std::int64_t> removed = session.exchange(cleaned.removed);
  const std::vector<std::int64_t> bytes = session.exchange(cleaned.bytes);
  for (std::size_t rank = 0; rank < removed.size(); ++rank) {
    report.files += removed[rank];
    report.bytes += bytes[rank];
  }
  Report whole = finish_dealt(phases, std::move(report), failures, all.interrupted);
  whole.seconds.total = std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
  return whole;
}

}  // namespace argosy::command
