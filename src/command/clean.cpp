#include "command/clean.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "command/dealt.h"
#include "command/phases.h"
#include "command/place.h"
#include "file/clean.h"
#include "file/folder_key.h"

namespace argosy::command {

namespace {

// Collective. Of the ranks that have the folder the lowest cleans it, also where nodes see one file system.
bool is_first_there(Phases& phases, mpi::Session& session, const std::string& name, const std::string& path) {
  const std::vector<int> ranks = owners(session, name);
  const int me = session.rank();
  std::string key;
  std::function<void()> task;
  if (std::find(ranks.begin(), ranks.end(), me) != ranks.end()) {
    task = [&] {
      try {
        key = file::folder_key(path, path);
      } catch (const base::Error&) {
        key = fmt::format("rank {}", me);  // says so when it is cleaned
      }
    };
  }
  phases.run_task("scan", task, [] { return mpi::Verdict{}; });
  const std::vector<std::string> keys = session.exchange(key);
  return !key.empty() && std::find(keys.begin(), keys.end(), key) - keys.begin() == me;
}

}  // namespace

Report clean(const Options& options, const CleanOptions& asked, mpi::Session& session,
             const Surroundings& surroundings) {
  Report report;
  report.command = CleanOptions::kName;
  Phases phases(session, options.common, surroundings.observer);
  if (surroundings.observer != nullptr) surroundings.observer->started();
  const auto begun = std::chrono::steady_clock::now();
  const int me = session.rank();
  const std::string directory = absolute(options.start_directory, expand(asked.directory, me, session.host(me)));
  file::Cleaned cleaned;
  std::function<void()> task;
  if (is_first_there(phases, session, asked.directory, directory)) task = [&] { cleaned = file::clean(directory); };
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
