#include "command/stripe_job.h"

#include <algorithm>

#include "base/seconds.h"
#include "core/stripe_wire.h"

namespace argosy::command {

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::int64_t kSmallChunk = 32 * 1024;   // up to here several travel together,
constexpr std::int64_t kBundleBytes = 64 * 1024;  // about so many bytes
constexpr std::size_t kMemoryPage = 4096;
constexpr std::size_t kWorkerSlots = 4;

}  // namespace

Parcels parcels_for(std::int64_t chunk_size, std::int64_t memory, std::size_t messages) {
  Parcels parcels;
  if (chunk_size <= kSmallChunk) {
    parcels.bundle =
        std::min(core::kMostBundled, static_cast<std::size_t>(std::max<std::int64_t>(1, kBundleBytes / chunk_size)));
  }
  while (true) {
    const auto chunks = static_cast<std::size_t>(chunk_size) * parcels.bundle;
    parcels.payload = std::max(chunks, static_cast<std::size_t>(kBundleBytes));
    const std::size_t head = std::max(core::deal_head_bytes(parcels.bundle), core::reply_head_bytes(parcels.bundle));
    parcels.slot = (head + parcels.payload + kMemoryPage - 1) / kMemoryPage * kMemoryPage;
    if (parcels.bundle == 1 || 2 * messages * parcels.slot <= static_cast<std::size_t>(memory) / 2) return parcels;
    parcels.bundle = (parcels.bundle + 1) / 2;
  }
}

StripeJob::StripeJob(const Options& asked, mpi::Session& ranks, const Surroundings& around, std::string_view command)
    : options(asked),
      session(ranks),
      surroundings(around),
      me(ranks.rank()),
      phases(ranks, asked.common, around.observer),
      start_(Clock::now()) {
  report.command = command;
}

bool StripeJob::allocate(const Parcels& parcels, int center, std::size_t least, std::size_t most, std::size_t reserve) {
  parcels_ = parcels;
  const auto memory = static_cast<std::size_t>(options.common.memory);
  std::size_t neighbours = 0;
  std::size_t centers = 0;
  for (int one = 0; one < session.size(); ++one) {
    if (session.node_of(one) != session.node_of(me)) continue;
    ++neighbours;
    centers += one == center || center == kEveryRank ? 1 : 0;
  }
  // One collects at a time.
  const std::size_t kept = centers > 0 ? reserve : 0;
  const std::size_t all = (memory > kept ? memory - kept : 0) / parcels.slot;
  const std::size_t left = all > centers * least ? all - centers * least : 0;
  const std::size_t workers = std::clamp<std::size_t>(left / neighbours / 2, 1, kWorkerSlots);
  const bool fits = workers * neighbours + centers * least <= all;
  for (const std::int64_t one : session.exchange(fits ? 1 : 0)) {
    if (one == 0) return false;
  }
  const bool is_center = me == center || center == kEveryRank;
  center_slots_ = is_center ? std::min(most, (all - workers * neighbours) / centers) : 0;
  memory_ = session.allocate_pool((center_slots_ + workers) * parcels.slot);
  return true;
}

engine::Pool StripeJob::center_pool() const { return {memory_.first(center_slots_ * parcels_.slot), parcels_.slot}; }

engine::Pool StripeJob::worker_pool() const { return {memory_.subspan(center_slots_ * parcels_.slot), parcels_.slot}; }

mpi::Verdict StripeJob::run_task(const std::function<void()>& task, const char* phase) {
  mpi::Verdict verdict = phases.run_task(phase, task, [] { return mpi::Verdict{}; });
  interrupted = std::max(interrupted, verdict.interrupted);
  return verdict;
}

void StripeJob::report_failure(base::Failure failure) {
  base::Failures one;
  one.add(std::move(failure));
  report_failures(std::move(one));
}

void StripeJob::report_failures(base::Failures failures) {
  // An interrupt explains by itself what it cut short.
  if (interrupted != 0) failures.leave_out(EINTR);
  errors_.add(failures);
}

Report StripeJob::finish() {
  report.errors = phases.signed_where_missing(errors_.kept());
  report.errors_total = errors_.total();
  engine::Meter& meter = phases.workers().meter();
  rank.disk = meter.seconds(engine::Work::kDisk);
  rank.hash = meter.seconds(engine::Work::kHash);
  rank.source = meter.seconds(engine::Work::kSource);
  Report whole = phases.finish(std::move(report), rank, interrupted);
  whole.seconds.total = base::seconds_since(start_);
  return whole;
}

StripeReport describe(const core::StripeManifest& manifest) {
  StripeReport report;
  report.generation = manifest.generation;
  report.layout = manifest.layout == core::StripeLayout::kStripe ? "stripe" : "chunks";
  report.chunk_size = manifest.chunk_size;
  report.chunks = manifest.stripe().chunks();
  report.workers = static_cast<int>(manifest.workers.size());
  report.parity = manifest.parity;
  report.losses = manifest.losses;
  report.moved = manifest.moved;
  return report;
}

}  // namespace argosy::command
