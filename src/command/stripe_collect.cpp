#include "command/stripe_collect.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <tuple>
#include <utility>

#include "engine/stripe_server.h"

namespace argosy::command {

namespace {

constexpr std::size_t kMostRequests = 8;
constexpr std::size_t kMostSlots = 24;

// "share 2: 341 chunks can't be had: chunk_0000000001, chunk_0000000004, ..."
std::string missing_line(std::uint32_t share, const engine::Missing& missing) {
  std::string text =
      fmt::format("share {}: {} chunk{} can't be had:", share, missing.count, missing.count == 1 ? "" : "s");
  for (const std::string& name : missing.chunks) text += ' ' + name;
  if (missing.count > static_cast<std::int64_t>(missing.chunks.size())) text += " ...";
  if (missing.rows > 0) {
    text +=
        fmt::format(" ({} of {} because no folder's {} is right there)", missing.rows, missing.count, core::kTableName);
  }
  return text;
}

}  // namespace

bool take_memory(StripeJob& job, const core::StripeManifest& manifest, int center, Parcels& parcels) {
  const std::int64_t memory = job.options.common.memory;
  const bool fits = manifest.chunk_size <= memory / 4;
  if (fits) {
    parcels = parcels_for(manifest.chunk_size, memory, kMostRequests);
    // Two groups at a time are rebuilt, in memory of their own.
    const std::size_t sums =
        2 * static_cast<std::size_t>(manifest.parity) * static_cast<std::size_t>(manifest.chunk_size) * parcels.bundle;
    if (job.allocate(parcels, center, 2, kMostSlots, sums)) return true;
  }
  if (job.me == 0) {
    job.report_failure(
        {base::Kind::kUsage,
         manifest.file.path,
         -1,
         {},
         0,
         fmt::format("its chunks have {} bytes: --memory {} is too little", manifest.chunk_size, memory)});
  }
  return false;
}

Collected collect(StripeJob& job, const FoundStripe& found, file::StripeShelf& shelf, const Parcels& parcels,
                  int center, core::CellSink* sink, engine::Collector::Settings settings, const std::string& shown) {
  engine::Pool server_pool = job.worker_pool();
  core::Transport& transport = job.session.transport();
  engine::StripeServer server(transport, job.phases.workers(), server_pool, shelf, center,
                              {parcels.payload, parcels.bundle, job.options.common.bwlimit});
  std::optional<engine::Pool> pool;
  std::optional<engine::Collector> collector;
  if (sink != nullptr) {
    pool.emplace(job.center_pool());
    settings.client = {parcels.payload, parcels.bundle, kMostRequests};
    collector.emplace(transport, job.phases.workers(), *pool, found.manifest, found.sight, *sink, std::move(settings));
  }
  Phase phase;
  phase.name = "transfer";
  phase.step = [&] {
    const bool collected = collector && collector->step();
    return server.step() || collected;
  };
  phase.done = [&] { return server.done() && (!collector || collector->done()); };
  phase.verdict = [] { return mpi::Verdict{}; };
  phase.stop = [&] {
    if (collector) collector->stop();
  };
  phase.status = [&] {
    engine::Pulse::Status status;
    if (server.is_reading()) {
      status.waits_for = job.me;
      status.what = "its own disk";
    }
    if (collector) {
      std::tie(status.waits_for, status.what) = collector->waits_for(job.me);
      status.bytes = collector->counts().bytes;
    }
    return status;
  };
  job.interrupted = std::max(job.interrupted, job.phases.run(phase).interrupted);
  job.rank.bytes_read += server.bytes_read();
  Collected collected;
  if (!collector) return collected;
  collected.counts = collector->counts();
  job.rank.bytes_written += collected.counts.bytes;
  if (collector->failure()) job.report_failure(*collector->failure());
  for (const auto& [share, missing] : collector->missing()) {
    job.report_failure({base::Kind::kIntegrity, shown, -1, {}, 0, missing_line(share, missing)});
  }
  collected.whole = !collector->failure() && collector->missing().empty() && job.interrupted == 0;
  return collected;
}

}  // namespace argosy::command
