#include "command/stripe_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>
#include <utility>

#include "engine/stripe_server.h"

namespace argosy::command {

namespace {

constexpr std::size_t kMostRequests = 16;

}  // namespace

Checked check(StripeJob& job, const FoundStripe& found, file::StripeShelf& shelf, const Parcels& parcels) {
  core::Transport& transport = job.session.transport();
  engine::Pool server_pool = job.worker_pool();
  engine::StripeServer server(transport, job.phases.workers(), server_pool, shelf, 0,
                              {parcels.payload, parcels.bundle, 0});
  std::optional<engine::Pool> pool;
  std::optional<engine::Checker> checker;
  if (job.me == 0) {
    pool.emplace(job.center_pool());
    const engine::StripeClient::Settings settings{parcels.payload, parcels.bundle, kMostRequests};
    checker.emplace(transport, *pool, found.manifest, found.sight, settings);
  }
  Phase phase;
  phase.name = "verify";
  phase.step = [&] {
    const bool checked = checker && checker->step();
    return server.step() || checked;
  };
  phase.done = [&] { return server.done() && (!checker || checker->done()); };
  phase.verdict = [] { return mpi::Verdict{}; };
  phase.stop = [&] {
    if (checker) checker->stop();
  };
  phase.status = [&] {
    engine::Pulse::Status status;
    if (checker) {
      std::tie(status.waits_for, status.what) = checker->waits_for();
      status.bytes = checker->bytes();
    }
    if (server.is_reading()) {
      status.waits_for = job.me;
      status.what = "its own disk";
    }
    return status;
  };
  job.interrupted = std::max(job.interrupted, job.phases.run(phase).interrupted);
  job.rank.bytes_read += server.bytes_read();
  Checked checked;
  if (!checker) return checked;
  checked.shares = checker->shares();
  checked.losses = checker->losses();
  checked.rows_lost = checker->rows_lost();
  checked.done = job.interrupted == 0;
  return checked;
}

void report_shares(StripeJob& job, const FoundStripe& found, const Checked& checked, const std::string& shown) {
  for (const auto& [share, state] : checked.shares) {
    if (state.damaged + state.missing == 0) continue;
    base::Failure failure{base::Kind::kIntegrity, shown, -1, {}, 0, {}};
    failure.message = fmt::format("share {}: of {} chunks {} are damaged and {} are missing", share, state.chunks,
                                  state.damaged, state.missing);
    const auto seen = found.sight.shares.find(share);
    for (const FolderSeen& one : found.folders) {
      if (seen == found.sight.shares.end()) break;
      const engine::Seen& best = seen->second.front();
      if (one.seen.rank != best.rank || one.seen.folder != best.folder) continue;
      failure.path = one.folder.path;
      failure.rank = best.rank;
      failure.host = job.session.host(best.rank);
    }
    job.report_failure(std::move(failure));
  }
}

StripeReport describe(const FoundStripe& found, const Checked& checked, const StripeJob& job) {
  StripeReport report = describe(found.manifest);
  report.losses = checked.losses;
  for (const auto& [share, state] : checked.shares) {
    report.damaged += state.damaged;
    ShareReport one;
    one.share = static_cast<int>(share);
    one.rank = state.rank;
    if (state.rank >= 0) one.host = job.session.host(state.rank);
    one.chunks = state.chunks;
    one.damaged = state.damaged;
    one.missing = state.missing;
    report.shares.push_back(std::move(one));
  }
  return report;
}

}  // namespace argosy::command
