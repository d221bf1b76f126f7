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
  if (phases.failure()) report.errors.push_back(*phases.failure());
  for (base::Failure& failure : phases.signed_here(std::move(cleaned.failures)))
    report.errors.push_back(std::move(failure));
  std::vector<base::Failure> busy;
  for (const std::string& path : cleaned.busy)
    busy.push_back({base::Kind::kDestination, path, -1, {}, EBUSY, "in use by another run, and left alone"});
  for (base::Failure& failure : phases.signed_here(std::move(busy))) report.errors.push_back(std::move(failure));
  const std::vector<std::int64_t> removed = session.exchange(cleaned.removed);
  const std::vector<std::int64_t> bytes = session.exchange(cleaned.bytes);
  for (std::size_t rank = 0; rank < removed.size(); ++rank) {
    report.files += removed[rank];
    report.bytes += bytes[rank];
  }
  Report whole = finish_dealt(phases, session, std::move(report), all.interrupted);
  whole.seconds.total = std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
  return whole;
}

}  // namespace argosy::command
