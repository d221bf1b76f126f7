#include "command/move.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <memory>
#include <optional>
#include <tuple>
#include <utility>

#include "base/failures.h"
#include "base/seconds.h"
#include "command/lines.h"
#include "command/names_to_rank_zero.h"
#include "command/phases.h"
#include "command/place.h"
#include "command/recorded_source.h"
#include "command/saved_manifest.h"
#include "command/shared_folder.h"
#include "command/sources.h"
#include "core/chunk.h"
#include "engine/pool.h"
#include "engine/transfer.h"
#include "file/beneath.h"
#include "file/digest_file.h"
#include "file/reader.h"
#include "file/writer.h"

namespace argosy::command {

namespace {

using Clock = std::chrono::steady_clock;
using base::Kind;

// How many of its leader's slots a rank holds before it copies to its own.
constexpr int kHeldMost = 4;

class Move {
 public:
  Move(const Options& options, mpi::Session& session, const Surroundings& surroundings, const MoveTask& task)
      : options_(options),
        session_(session),
        surroundings_(surroundings),
        task_(task),
        me_(session.rank()),
        phases_(session, options.common, surroundings.observer),
        lines_(surroundings.observer, options.common.json, options.common.quiet, "names", "path") {
    report_.command = task.command;
    report_.dry_run = task.sources.tree.dry_run;
  }

  Report run() {
    const auto start = Clock::now();
    memory_ = session_.allocate_pool(task_.pool_bytes);
    if (surroundings_.observer != nullptr) surroundings_.observer->started();
    const bool ready = scan() && !explain() && prepare();
    report_.seconds.scan = base::seconds_since(start);
    if (ready) {
      const auto begun = Clock::now();
      transfer();
      report_.seconds.transfer = base::seconds_since(begun);
      const auto moved = Clock::now();
      commit();
      report_.seconds.commit = base::seconds_since(moved);
    }
    Report whole = finish();
    whole.seconds.total = base::seconds_since(start);
    return whole;
  }

 private:
  // Looks at the sources. False when the job ends here.
  bool scan() {
    file::Reader::Totals totals;
    std::function<void()> look;
    if (task_.reads(me_)) {
      look = [this, &totals] {
        auto files = resolve(task_.sources, options_.start_directory, surroundings_.open_standard_input);
        // The other origins go by the root's manifest.
        const Sources& sources = task_.sources;
        auto selection = me_ == task_.root ? selection_of(sources.tree, options_.start_directory, sources.from0,
                                                          surroundings_.open_standard_input)
                                           : file::Selection{};
        source_ =
            std::make_unique<file::Reader>(std::move(files), surroundings_.open_standard_input, std::move(selection));
        if (me_ == task_.root) totals = source_->scan(task_.checksum);
        if (me_ == task_.root && !task_.sources.save_manifest.empty() && !dry_run() && !task_.explain) {
          manifest_ = std::make_unique<SavedManifest>(absolute(options_.start_directory, task_.sources.save_manifest));
          recorded_ = std::make_unique<RecordedSource>(*source_, *manifest_);
        }
        if (task_.explain) unreadable_ = totals.failures;
      };
    }
    const mpi::Verdict all = phases_.run_task("scan", look, [&totals] {
      mpi::Verdict mine;
      mine.files = totals.files;
      mine.bytes = totals.bytes;
      mine.open_ended = totals.open_ended;
      mine.succeeded = totals.folders;
      return mine;
    });
    found_ = {all.files, all.bytes, all.open_ended, all.succeeded};
    return goes_on(all);
  }

  // True when nothing is to be moved.
  bool explain() {
    if (!task_.explain) return false;
    const std::vector<bool> all(static_cast<std::size_t>(session_.size()), true);
    static_cast<void>(task_.choose(found_, all, report_));
    report_.explained = true;
    errors_.add(unreadable_);
    report_.bytes = found_.bytes;
    return true;
  }

  // Makes the folders, and finds the way. False when the job ends here.
  bool prepare() {
    std::vector<bool> writes(static_cast<std::size_t>(session_.size()), false);
    // With nothing to write not even the folders are made; the destinations are told all the same.
    if (found_.files > 0) {
      std::function<void()> make;
      if (task_.wants(me_)) {
        make = [this] {
          if (!dry_run()) {
            folder_.emplace(destination(), 0);
          } else if (file::is_folder(destination())) {
            folder_.emplace(destination(), 0);
          }
        };
      }
      const mpi::Verdict made = phases_.run_task("scan", make, [this] {
        mpi::Verdict mine;
        mine.succeeded = folder_ || dry_run() ? 1 : 0;
        return mine;
      });
      // A node whose folder can't be made is reported and left out, as long as there is another.
      if (made.succeeded == 0 || made.interrupted != 0) return goes_on(made);
      if (made.failed > 0 && phases_.failure()) errors_.add(*phases_.failure());
    }
    if (task_.folders_may_be_shared && found_.files > 0 && !dry_run()) {
      if (!is_lowest_of_folder(phases_, folder_ ? &*folder_ : nullptr)) folder_.reset();
    }
    const bool writes_nothing = found_.files == 0 || dry_run();
    const std::vector<std::int64_t> flags = session_.exchange(folder_ || (writes_nothing && task_.wants(me_)) ? 1 : 0);
    if (found_.folders > 0) leave_out_destinations();
    for (std::size_t rank = 0; rank < flags.size(); ++rank) {
      writes[rank] = flags[rank] != 0;
      destinations_ += flags[rank];
    }
    way_ = task_.choose(found_, writes, report_);
    if (found_.open_ended) {
      phases_.expect(-1, -1);
    } else {
      phases_.expect(found_.bytes * destinations_, found_.files * destinations_);
    }
    return true;
  }

  // True when the verdict lets the job go on; else this rank keeps what it has to report.
  bool goes_on(const mpi::Verdict& verdict) {
    interrupted_ = std::max(interrupted_, verdict.interrupted);
    if (phases_.failure()) errors_.add(*phases_.failure());
    return verdict.failure.kind == Kind::kNone && interrupted_ == 0;
  }

  std::string destination() const {
    return absolute(options_.start_directory, expand(task_.directory, me_, session_.host(me_)));
  }

  bool dry_run() const { return task_.sources.tree.dry_run; }

  // A destination beneath a source would be moved into itself without end.
  void leave_out_destinations() {
    std::function<void()> look;
    if (me_ == task_.root) {
      look = [this] {
        std::vector<file::FolderId> folders;
        for (int rank = 0; rank < session_.size(); ++rank) {
          if (session_.node_of(rank) != session_.node_of(me_) || !task_.wants(rank)) continue;
          const std::string path = expand(task_.directory, rank, session_.host(rank));
          if (const auto id = file::folder_id(absolute(options_.start_directory, path))) folders.push_back(*id);
        }
        source_->leave_out(folders);
      };
    }
    phases_.run_task("scan", look, [] { return mpi::Verdict{}; });
  }

  // Every node may see the source, and yet the route begin at one.
  bool is_origin() const { return me_ == task_.root || (source_ != nullptr && way_.route->origins() > 1); }

  core::Source* source() const {
    if (!is_origin()) return nullptr;
    return recorded_ ? static_cast<core::Source*>(recorded_.get()) : source_.get();
  }

  // Half of a reader's memory is for reading, where it also receives.
  engine::Pools divide_pool() const {
    const core::Route& route = *way_.route;
    const std::size_t slot = slot_bytes(way_.chunk_size);
    const std::size_t all = memory_.size() / slot;
    bool receives = false;
    for (int lane = 0; lane < route.lanes(); ++lane) receives = receives || route.incoming(me_, lane, 0).has_value();
    const std::size_t reading = !is_origin() ? 0 : receives ? all / 2 : all;
    const std::size_t a_lane = receives ? (all - reading) / static_cast<std::size_t>(route.lanes()) : 0;
    engine::Pools pools{engine::Pool(memory_.first(reading * slot), slot), {}};
    for (int lane = 0; lane < route.lanes(); ++lane) {
      const std::size_t start = reading + static_cast<std::size_t>(lane) * a_lane;
      pools.lanes.emplace_back(memory_.subspan(start * slot, a_lane * slot), slot);
    }
    return pools;
  }

  void transfer() {
    pools_.emplace(divide_pool());
    engine::Transfer::Settings settings;
    settings.origin.chunk_size = way_.chunk_size;
    settings.origin.ahead = std::max<std::size_t>(1, std::min<std::size_t>(8, pools_->reading.slots() / 2));
    std::optional<NamesToRankZero> names;
    if (dry_run()) {
      names.emplace(session_.transport(), task_.root,
                    [this](const std::string& name) { lines_.add(name, base::printable_name(name)); });
      // The root tells of them all, however many read the source.
      settings.origin.only_ask = [this, &names](const core::Entry& entry) {
        if (me_ == task_.root) names->add(entry.path + (entry.type == core::Type::kFolder ? "/" : ""));
      };
    }
    settings.relay.bwlimit = options_.common.bwlimit;
    settings.relay.limit_local = !task_.limit_cards_only;
    // With slots of its own a rank that falls behind frees its neighbour's; over a direct route nobody else waits for
    // them.
    if (way_.route->lanes() > 1 || destinations_ > 1) settings.relay.held_most = kHeldMost;
    const bool writes = way_.route->is_destination(me_);
    if (writes) {
      file::Writer::Settings how;
      how.stages = true;
      how.fsync = options_.common.fsync;
      how.read_back = options_.common.read_back;
      how.leave_same = task_.leave_same;
      how.checksum = task_.checksum;
      how.metadata = metadata_of(task_.sources.tree);
      how.publish = task_.sources.tree.publish;
      how.only_ask = dry_run();
      sink_ = std::make_unique<file::Writer>(folder_ ? &*folder_ : nullptr, how);
    }
    engine::Transfer transfer(session_.transport(), phases_.workers(), *pools_, *way_.route, source(), sink_.get(),
                              settings);
    Phase phase;
    phase.name = "transfer";
    phase.step = [&] {
      const bool any = transfer.step();
      if (names && transfer.done()) names->end();
      return any;
    };
    phase.done = [&] { return transfer.done() && (!names || names->done()); };
    phase.stop = [&] { transfer.stop(); };
    phase.verdict = [&] { return verdict(transfer); };
    phase.status = [&] {
      engine::Pulse::Status status;
      std::tie(status.waits_for, status.what) = transfer.waits_for();
      if (const auto* destination = transfer.destination()) {
        status.bytes = destination->counts().bytes_written;
        status.files = destination->counts().files_committed;
      }
      return status;
    };
    phase.sample = [&](double passed) { transfer.sample(passed); };
    const mpi::Verdict all = run_transfer(phase);
    lines_.flush();
    interrupted_ = all.interrupted;
    failed_ = all.failed;
    tell(transfer);
    tell_times(transfer);
  }

  mpi::Verdict run_transfer(const Phase& phase) {
    try {
      return phases_.run(phase);
    } catch (const base::Error& error) {
      if (error.failure().kind != Kind::kIntegrity) throw;
      // A peer broke the protocol: what it has sent so far is no ground to go on from.
      if (sink_) sink_->distrust();
      take_away();
      throw;
    }
  }

  // All that is unfinished, on an I/O thread, as every call to a file system: where one hangs, the watchdog ends the
  // rank.
  void take_away() {
    bool done = false;
    const auto task = [this] {
      sink_.reset();
      if (folder_) folder_->remove_made();
    };
    phases_.workers().post(task, [&done] { done = true; });
    while (!done) {
      phases_.workers().wait(std::chrono::milliseconds(1));
      phases_.workers().drain();
    }
  }

  mpi::Verdict verdict(const engine::Transfer& transfer) const {
    mpi::Verdict mine;
    const base::Failures failures = transfer.failures();
    mine.failed = failures.total();
    for (const base::Failure& failure : phases_.signed_here(failures.kept())) {
      if (base::more_telling(failure.kind, mine.failure.kind)) mine.failure = failure;
    }
    return mine;
  }

  // Takes over into the report what the transfer did on this rank.
  void tell(const engine::Transfer& transfer) {
    base::Failures failures = transfer.failures();
    // An interrupt explains by itself what it cut short.
    if (interrupted_ != 0) failures.leave_out(EINTR);
    errors_.add(failures);
    if (const auto* origin = transfer.origin()) rank_.bytes_read = origin->counts().bytes_read;
    if (const auto* destination = transfer.destination()) {
      const engine::Destination::Counts& counts = destination->counts();
      report_.files =
          static_cast<std::int64_t>(counts.files_committed + counts.files_in_place + counts.links_and_specials);
      report_.folders = static_cast<std::int64_t>(counts.folders);
      report_.bytes = counts.bytes_committed + counts.bytes_in_place;
      report_.bytes_moved = rank_.bytes_written = counts.bytes_written;
      if (report_.files == 1 && found_.files == 1 && found_.folders == 0) {
        if (counts.digest) report_.digest = base::to_string(*counts.digest);
        report_.name = counts.name;
      }
    }
  }

  void tell_times(const engine::Transfer& transfer) {
    engine::Meter& meter = phases_.workers().meter();
    rank_.network_wait = transfer.network_wait();
    rank_.disk = meter.seconds(engine::Work::kDisk);
    rank_.hash = meter.seconds(engine::Work::kHash);
    rank_.source = meter.seconds(engine::Work::kSource);
    for (const auto& [to, link] : transfer.links()) rank_.links.push_back({to, link.busy(), link.fastest()});
  }

  // With --publish: all or nothing.
  void show_trees(base::Failures& failures) {
    if (!sink_->has_trees()) return;
    try {
      if (failed_ > 0 || interrupted_ != 0 || !failures.empty()) {
        throw base::Error(Kind::kDestination, folder_->path(), 0,
                          "nothing is shown, since something failed: run it again, or argosy clean");
      }
      sink_->publish_trees();
    } catch (const base::Error& error) {
      failures.add(error.failure());
      report_.files = report_.folders = 0;
    }
  }

  // On an I/O thread. Says what stands there now: that it is what was sent once is all that was known.
  void tell_digest_in_place() {
    const bool single = found_.files == 1 && found_.folders == 0 && report_.files == 1;
    if (!task_.digest_in_place || !single || !report_.digest.empty() || interrupted_ != 0) return;
    if (const auto digest = file::digest_of_file(folder_->path() + '/' + report_.name, report_.bytes)) {
      report_.digest = base::to_string(*digest);
    }
  }

  // On an I/O thread.
  void finish_folder(base::Failures& failures) {
    if (sink_) {
      file::Writer::Finished finished = sink_->finish();
      report_.files += static_cast<std::int64_t>(finished.hard_links) - finished.files_lost;
      report_.bytes -= finished.bytes_lost;
      failures = std::move(finished.failures);
      show_trees(failures);
      sink_.reset();
    }
    tell_digest_in_place();
    if (report_.files == 0 && report_.folders == 0) {
      folder_->remove_made();
    } else if (options_.common.fsync) {
      folder_->sync();
    }
  }

  void commit() {
    std::function<void()> task;
    base::Failures failures;
    if (folder_ && !dry_run()) task = [this, &failures] { finish_folder(failures); };
    const mpi::Verdict all = phases_.run_task("commit", task, [this, &failures] {
      mpi::Verdict mine;
      mine.failed = failures.total();
      mine.succeeded = report_.files + report_.folders;
      return mine;
    });
    goes_on(all);
    errors_.add(failures);
    if (!task_.sources.save_manifest.empty() && !dry_run()) save_manifest(all.succeeded > 0);
  }

  // Last: that it can't be written must not keep anything else from being done.
  void save_manifest(bool arrived) {
    std::function<void()> task;
    if (recorded_ && arrived && interrupted_ == 0) {
      errors_.add(recorded_->failures());
      task = [this] { manifest_->finish(); };
    }
    goes_on(phases_.run_task("commit", task, [] { return mpi::Verdict{}; }));
  }

  Report finish() {
    report_.errors = phases_.signed_where_missing(errors_.kept());
    report_.errors_total = errors_.total();
    report_.would_change = lines_.count();
    return phases_.finish(std::move(report_), rank_, interrupted_);
  }

  const Options& options_;
  mpi::Session& session_;
  const Surroundings& surroundings_;
  const MoveTask& task_;
  int me_;
  Phases phases_;
  Found found_;
  Way way_;
  int interrupted_ = 0;
  std::int64_t failed_ = 0;  // failures of all ranks in the transfer
  std::span<std::byte> memory_;
  std::optional<file::Folder> folder_;
  std::optional<engine::Pools> pools_;
  std::unique_ptr<file::Reader> source_;
  std::unique_ptr<SavedManifest> manifest_;
  std::unique_ptr<RecordedSource> recorded_;  // the source, where a manifest is saved of it
  std::unique_ptr<file::Writer> sink_;
  std::int64_t destinations_ = 0;
  std::vector<base::Failure> unreadable_;  // --explain reports what no transfer will
  Lines lines_;                            // of --dry-run
  base::Failures errors_;
  RankReport rank_;
  Report report_;
};

}  // namespace

std::int64_t steady_chunk(const CommonOptions& options, std::int64_t size) {
  if (options.bwlimit > 0) size = std::min(size, options.bwlimit / 8);
  return std::max(size / base::kLeafSize * base::kLeafSize, base::kLeafSize);
}

std::size_t slot_bytes(std::int64_t chunk_size) {
  constexpr std::size_t kMemoryPage = 4096;
  return (core::message_capacity(chunk_size) + kMemoryPage - 1) / kMemoryPage * kMemoryPage;
}

Report wrong_usage(const std::string& command, std::string message) {
  Report report;
  report.command = command;
  report.exit = static_cast<int>(Kind::kUsage);
  report.errors = {{Kind::kUsage, {}, -1, {}, 0, std::move(message)}};
  report.errors_total = 1;
  return report;
}

Report move_files(const Options& options, mpi::Session& session, const Surroundings& surroundings,
                  const MoveTask& task) {
  return Move(options, session, surroundings, task).run();
}

}  // namespace argosy::command
