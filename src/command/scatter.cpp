#include "command/scatter.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <memory>
#include <optional>
#include <tuple>
#include <utility>
#include <vector>

#include "base/log.h"
#include "base/seconds.h"
#include "command/lines.h"
#include "command/scatter_again.h"
#include "command/scatter_list.h"
#include "command/scatter_source.h"
#include "command/scatter_worker.h"
#include "command/stripe_find.h"
#include "command/stripe_job.h"
#include "core/stripe_wire.h"
#include "engine/dealer.h"
#include "engine/holder.h"

namespace argosy::command {

namespace {

using base::Kind;
using Clock = std::chrono::steady_clock;

constexpr int kRoot = 0;
constexpr std::int64_t kDefaultChunk = 1 << 20;
constexpr std::size_t kMostSlots = 24;

std::string text_of(const core::StripeManifest& manifest) { return core::encode_stripe_manifest(manifest); }

class Scatter {
 public:
  Scatter(const Options& options, const ScatterOptions& asked, mpi::Session& session, const Surroundings& surroundings)
      : job_(options, session, surroundings, ScatterOptions::kName),
        asked_(asked),
        me_(session.rank()),
        worker_(job_, asked, asked.root_too || session.rank() != kRoot),
        source_(options, asked, surroundings),
        lines_(surroundings.observer, options.common.json, options.common.quiet, "names", "path") {
    for (int rank = asked.root_too ? 0 : 1; rank < session.size(); ++rank) {
      workers_.push_back(static_cast<std::uint32_t>(rank));
    }
    if (me_ == kRoot) {
      for (const std::uint32_t worker : workers_) {
        stripe_.receipts.push_back({static_cast<int>(worker), session.host(static_cast<int>(worker)), 0, 0, 0});
      }
    }
  }

  Report run() {
    const auto start = Clock::now();
    if (job_.surroundings.observer != nullptr) job_.surroundings.observer->started();
    if (!take_memory()) {
      return wrong_usage("scatter",
                         "--memory has no room for chunks of this size with so many workers and this parity");
    }
    const std::int64_t files = scan();
    if (files > 0 && !dry_run()) worker_.open_directory();
    job_.report.seconds.scan = base::seconds_since(start);
    for (std::int64_t file = 0; file < files && job_.interrupted == 0; ++file) scatter_file(file);
    const auto end = Clock::now();
    worker_.leave();
    if (!asked_.save_manifest.empty() && !dry_run()) save_manifest();
    job_.report.seconds.commit += base::seconds_since(end);
    if (dry_run()) {
      lines_.flush();
      job_.report.dry_run = true;
      job_.report.would_change = lines_.count();
    } else if (me_ == kRoot) {
      job_.report.stripe = stripe_;
    }
    return job_.finish();
  }

 private:
  bool dry_run() const { return asked_.tree.dry_run; }

  bool take_memory() {
    const CommonOptions& common = job_.options.common;
    chunk_size_ = common.chunk_size;
    if (chunk_size_ == 0) chunk_size_ = steady_chunk(common, std::min(kDefaultChunk, common.memory / 16));
    // Where many ranks share a node's memory, smaller chunks than the usual ones fit.
    while (!take_memory_for_chunks()) {
      if (common.chunk_size != 0 || chunk_size_ <= base::kLeafSize) return false;
      chunk_size_ = std::max(chunk_size_ / 2 / base::kLeafSize * base::kLeafSize, base::kLeafSize);
    }
    return true;
  }

  bool take_memory_for_chunks() {
    parcels_ = parcels_for(chunk_size_, job_.options.common.memory, workers_.size());
    const auto parity = static_cast<std::size_t>(asked_.parity);
    const std::size_t least = parcels_.bundle > 1 ? workers_.size() : parity + 2;
    const std::size_t most = std::max(2 * least, kMostSlots + 2 * parity);
    return job_.allocate(parcels_, kRoot, least, most, 0);
  }

  // Last: that it can't be written must not keep anything else from being done.
  void save_manifest() {
    std::function<void()> save;
    if (me_ == kRoot && job_.report.files > 0 && job_.interrupted == 0) save = [this] { source_.save_manifest(); };
    job_.run_task(save, "commit");
    if (job_.phases.failure()) job_.report_failure(*job_.phases.failure());
  }

  // How many files there are; looks at them on the root.
  std::int64_t scan() {
    std::function<void()> look;
    if (me_ == kRoot) {
      look = [this] { source_.scan(); };
    }
    const mpi::Verdict verdict = job_.run_task(look, "scan");
    if (me_ == kRoot) {
      if (job_.phases.failure()) job_.report_failure(*job_.phases.failure());
      for (const base::Failure& failure : source_.failures()) job_.report_failure(failure);
    }
    if (verdict.failed > 0 || job_.interrupted != 0) return 0;
    const std::vector<core::Entry>& entries = source_.entries();
    std::int64_t bytes = 0;
    bool open_ended = false;
    for (const core::Entry& entry : entries) {
      if (entry.readable()) bytes += entry.size;
      open_ended = open_ended || entry.open_ended;
    }
    job_.phases.expect(open_ended ? -1 : bytes, static_cast<std::int64_t>(entries.size()));
    const bool any =
        std::any_of(entries.begin(), entries.end(), [](const core::Entry& entry) { return entry.readable(); });
    return job_.session.exchange(any ? static_cast<std::int64_t>(entries.size()) : 0)[kRoot];
  }

  // One file, with as many attempts as workers fail to have it in place.
  void scatter_file(std::int64_t index) {
    const auto at = static_cast<std::size_t>(index);
    constexpr std::int64_t kFile = 1;
    constexpr std::int64_t kFolder = 2;
    const bool readable = me_ == kRoot && source_.entries()[at].readable();
    const std::int64_t mine = !readable ? 0 : source_.is_folder(at) ? kFolder : kFile;
    const std::int64_t kind = job_.session.exchange(mine)[kRoot];
    if (kind == 0 || (kind == kFolder && is_in_place(at)) || job_.interrupted != 0) return;
    if (dry_run()) return list_names(job_, source_, kRoot, at, lines_);
    while (true) {
      Attempt attempt = describe_file(at);
      if (attempt.manifest.tree && !open_folder(job_, source_, kRoot, at)) return;
      const Outcome outcome = try_file(at, attempt);
      const bool repeatable = !attempt.open_ended || attempt.manifest.tree;
      const bool again = outcome == Outcome::kAgain && repeatable && job_.interrupted == 0;
      // Standard input can't be read twice, so that even one worker's failure to commit is the end.
      const bool failed = !again && outcome != Outcome::kDone && outcome != Outcome::kSourceFailed;
      if (failed && worker_.failure()) job_.report_failure(*worker_.failure());
      worker_.drop(!again);
      if (again) continue;
      job_.report_failures(source_.take_failures());
      return;
    }
  }

  // A folder that has been scattered like this already. Then this is all that there is to do.
  bool is_in_place(std::size_t at) {
    const auto begun = Clock::now();
    const core::StripeManifest meant = describe_file(at).manifest;
    const auto is_of_source = [&](const core::StripeManifest& there) { return source_.is_in(at, there); };
    const auto there = find_in_place(job_, asked_, meant, kRoot, is_of_source);
    if (there) {
      base::Failures failures;
      std::function<void()> record;
      if (me_ == kRoot && !asked_.save_manifest.empty() && !dry_run())
        record = [&] { failures = source_.record_in_place(at); };
      job_.run_task(record, "scan");
      job_.report_failures(std::move(failures));
      account(*there, 0);
    }
    job_.report.seconds.scan += base::seconds_since(begun);
    return there.has_value();
  }

  enum class Outcome { kDone, kAgain, kNobody, kSourceFailed };

  Attempt describe_file(std::size_t at) {
    Attempt attempt;
    core::StripeManifest& manifest = attempt.manifest;
    manifest.chunk_size = chunk_size_;
    manifest.layout = asked_.layout;
    manifest.workers = workers_;
    manifest.parity = asked_.parity;
    std::string text;
    if (me_ == kRoot) {
      source_.describe(at, manifest);
      text = (manifest.file.open_ended ? 'o' : 's') + text_of(manifest);
    }
    text = job_.session.exchange(text)[kRoot];
    std::string why;
    const auto told =
        core::decode_stripe_manifest(std::string_view(text).substr(std::min<std::size_t>(1, text.size())), why);
    if (!told) throw base::Error(Kind::kIntegrity, {}, kRoot, "what the root says of its file came damaged: " + why);
    attempt.manifest = *told;
    attempt.open_ended = text[0] == 'o';
    return attempt;
  }

  // Everything from the folder to its place. Every rank comes to the same outcome.
  Outcome try_file(std::size_t at, Attempt& attempt) {
    const auto begun = Clock::now();
    worker_.prepare(attempt);
    const auto can = [&](std::uint32_t one) { return attempt.errors[one] == 0; };
    if (std::none_of(workers_.begin(), workers_.end(), can)) return Outcome::kNobody;
    const auto dealt = Clock::now();
    job_.report.seconds.scan += std::chrono::duration<double>(dealt - begun).count();
    const std::string manifest = deal(at, attempt);
    const auto moved = Clock::now();
    job_.report.seconds.transfer += std::chrono::duration<double>(moved - dealt).count();
    if (manifest.empty() || job_.interrupted != 0) return source_failed_ ? Outcome::kSourceFailed : Outcome::kNobody;
    const bool committed = worker_.commit(manifest);
    job_.report.seconds.commit += base::seconds_since(moved);
    if (!committed) return Outcome::kAgain;
    clear_replaced(job_, {asked_.directory, attempt.manifest.file.path}, attempt.manifest);
    std::string why;
    const auto placed = core::decode_stripe_manifest(manifest, why);
    if (!placed) throw base::Error(Kind::kIntegrity, {}, kRoot, "the manifest came damaged: " + why);
    if (me_ == kRoot) source_.placed(at, placed->file.size, placed->digest);
    account(*placed, placed->file.size);
    return Outcome::kDone;
  }

  // The chunks' way. The manifest at every rank, or nothing where the stripe is not whole.
  std::string deal(std::size_t at, const Attempt& attempt) {
    engine::Pool pool = job_.worker_pool();
    std::optional<engine::Pool> center;
    std::optional<engine::Dealer> dealer;
    std::optional<engine::Holder> holder;
    worker_.start_holding(pool, parcels_, kRoot, holder);
    if (me_ == kRoot) {
      center.emplace(job_.center_pool());
      start_dealer(at, attempt, *center, dealer);
    }
    Phase phase;
    phase.name = "transfer";
    phase.step = [&] {
      const bool dealt = dealer && dealer->step();
      return (holder && holder->step()) || dealt;
    };
    phase.done = [&] { return (!dealer || dealer->done()) && (!holder || holder->done()); };
    phase.verdict = [] { return mpi::Verdict{}; };
    phase.stop = [&] {
      if (dealer) dealer->stop();
    };
    phase.status = [&] {
      engine::Pulse::Status status;
      if (dealer) std::tie(status.waits_for, status.what) = dealer->waits_for();
      if (holder && holder->is_writing()) {
        status.waits_for = me_;
        status.what = "its own disk";
      }
      if (dealer) {
        status.bytes = moved_before_ + dealer->counts().bytes_read;
        status.files = static_cast<std::uint64_t>(job_.report.files);
      }
      return status;
    };
    job_.interrupted = std::max(job_.interrupted, job_.phases.run(phase).interrupted);
    std::string text;
    if (dealer) text = book(*dealer, attempt);
    if (holder) worker_.stop_holding(*holder);
    text = job_.session.exchange(text)[kRoot];
    source_failed_ = text == "source";
    return source_failed_ ? std::string() : text;
  }

  void start_dealer(std::size_t at, const Attempt& attempt, engine::Pool& pool, std::optional<engine::Dealer>& dealer) {
    std::vector<engine::DealtWorker> workers;
    for (const std::uint32_t worker : workers_) {
      workers.push_back({static_cast<int>(worker), attempt.errors[worker] == 0, attempt.leads[worker] != 0});
    }
    engine::Dealer::Settings settings;
    settings.bundle = parcels_.bundle;
    settings.bwlimit = job_.options.common.bwlimit;
    settings.key = attempt.manifest.key();
    settings.open_ended = attempt.open_ended;
    constexpr std::int64_t kNoEnd = std::int64_t{1} << 61;
    const core::Stripe stripe(attempt.open_ended ? kNoEnd : attempt.manifest.file.size, chunk_size_, workers_,
                              asked_.parity);
    const auto told = [this](std::size_t place, const core::Cell& cell, std::int32_t error_number) {
      if (!job_.options.common.verbose) return;
      const auto worker = static_cast<int>(workers_[place]);
      base::log(fmt::format("{}: worker {} on {}: {}", core::chunk_name(cell), worker, job_.session.host(worker),
                            error_number == 0 ? "ok" : std::strerror(error_number)));
    };
    dealer.emplace(job_.session.transport(), job_.phases.workers(), pool, source_.bytes_of(at), at, stripe, workers,
                   settings, told);
  }

  // Takes over what the dealer knows; the manifest's text, or "source" where that failed, or nothing.
  std::string book(const engine::Dealer& dealer, const Attempt& attempt) {
    const engine::Dealer::Counts& counts = dealer.counts();
    job_.rank.bytes_read += counts.bytes_read;
    moved_before_ += counts.bytes_read;
    core::StripeManifest manifest = attempt.manifest;
    for (std::size_t i = 0; i < workers_.size(); ++i) {
      const engine::Dealer::Book& one = dealer.books()[i];
      ReceiptReport& receipts = stripe_.receipts[i];
      receipts.acknowledged += one.acknowledged;
      receipts.failed += one.failed;
      const auto before = static_cast<std::int32_t>(attempt.errors[workers_[i]]);
      const std::int32_t error_number = before != 0 ? before : one.error_number;
      if (error_number == 0) continue;
      receipts.error_number = error_number;
      manifest.failed.push_back({workers_[i], error_number, one.acknowledged});
    }
    if (dealer.failure()) {
      if (job_.interrupted == 0) job_.report_failure(*dealer.failure());
      return "source";
    }
    if (!dealer.whole()) {
      // What came damaged again and again is no failure of the worker that says so.
      for (std::size_t i = 0; i < workers_.size() && job_.interrupted == 0; ++i) {
        if (dealer.books()[i].error_number != EBADMSG) continue;
        job_.report_failure({Kind::kIntegrity,
                             attempt.manifest.file.path,
                             -1,
                             {},
                             EBADMSG,
                             fmt::format("chunks for worker {} came damaged", workers_[i])});
      }
      return {};
    }
    manifest.file.size = dealer.stripe().size();
    manifest.file.open_ended = false;
    manifest.digest = counts.digest;
    manifest.table_digest = counts.table_digest;
    manifest.losses = counts.losses;
    if (manifest.tree) manifest.signature = source_.signature();
    manifest.moved = counts.moved;
    return text_of(manifest);
  }

  // A stripe that is in place, for which so many bytes have been moved.
  void account(const core::StripeManifest& manifest, std::int64_t moved) {
    ++job_.report.files;
    job_.report.bytes += manifest.file.size;
    job_.report.bytes_moved += moved;
    const bool only = job_.report.files == 1;
    job_.report.name = only ? manifest.file.path : std::string();
    job_.report.digest = only && !manifest.tree ? base::to_string(manifest.digest) : std::string();
    worker_.warn(manifest, kRoot);
    StripeReport described = describe(manifest);
    described.receipts = std::move(stripe_.receipts);
    if (!only) {
      described.generation.clear();
      described.chunks += stripe_.chunks;
      described.moved += stripe_.moved;
      described.losses = std::min(described.losses, stripe_.losses);
    }
    stripe_ = std::move(described);
  }

  StripeJob job_;
  const ScatterOptions& asked_;
  int me_;
  ScatterWorker worker_;
  std::vector<std::uint32_t> workers_;
  std::int64_t chunk_size_ = 0;
  Parcels parcels_;
  // The root's.
  ScatterSource source_;
  StripeReport stripe_;
  Lines lines_;
  std::int64_t moved_before_ = 0;
  bool source_failed_ = false;
};

}  // namespace

Report scatter(const Options& options, const ScatterOptions& asked, mpi::Session& session,
               const Surroundings& surroundings) {
  if (session.size() < 2) {
    return wrong_usage("scatter", fmt::format("scatter needs at least 2 ranks, and there is {}", session.size()));
  }
  const int workers = session.size() - (asked.root_too ? 0 : 1);
  if (asked.parity >= workers) {
    return wrong_usage("scatter", fmt::format("--parity {} needs more than {} worker{}", asked.parity, workers,
                                              workers == 1 ? "" : "s"));
  }
  return Scatter(options, asked, session, surroundings).run();
}

}  // namespace argosy::command
