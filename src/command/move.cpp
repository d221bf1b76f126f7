#include "command/move.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <memory>
#include <optional>
#include <tuple>
#include <utility>

#include "command/phases.h"
#include "command/place.h"
#include "command/shared_folder.h"
#include "command/sources.h"
#include "core/chunk.h"
#include "engine/pool.h"
#include "engine/transfer.h"
#include "file/beneath.h"
#include "file/reader.h"
#include "file/writer.h"

namespace argosy::command {

namespace {

using Clock = std::chrono::steady_clock;
using base::Kind;

// How many of its leader's slots a rank holds before it copies to its own.
constexpr int kHeldMost = 4;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

class Move {
 public:
  Move(const Options& options, mpi::Session& session, const Surroundings& surroundings, const MoveTask& task)
      : options_(options),
        session_(session),
        surroundings_(surroundings),
        task_(task),
        me_(session.rank()),
        phases_(session, options.common, surroundings.observer) {
    report_.command = task.command;
  }

  Report run() {
    const auto start = Clock::now();
    memory_ = session_.allocate_pool(task_.pool_bytes);
    if (surroundings_.observer != nullptr) surroundings_.observer->started();
    const bool ready = scan() && !explain() && prepare();
    report_.seconds.scan = seconds_since(start);
    if (ready) {
      const auto begun = Clock::now();
      transfer();
      report_.seconds.transfer = seconds_since(begun);
      const auto moved = Clock::now();
      commit();
      report_.seconds.commit = seconds_since(moved);
    }
    Report whole = finish();
    whole.seconds.total = seconds_since(start);
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
        source_ = std::make_unique<file::Reader>(std::move(files), surroundings_.open_standard_input);
        // The other origins go by the root's manifest.
        if (me_ == task_.root) totals = source_->scan(task_.checksum);
        if (task_.explain) unreadable_ = totals.failures;
      };
    }
    const mpi::Verdict all = phases_.run_task("scan", look, [&totals] {
      mpi::Verdict mine;
      mine.files = totals.files;
      mine.bytes = totals.bytes;
      mine.open_ended = totals.open_ended;
      return mine;
    });
    found_ = {all.files, all.bytes, all.open_ended};
    return goes_on(all);
  }

  // True when nothing is to be moved.
  bool explain() {
    if (!task_.explain) return false;
    const std::vector<bool> all(static_cast<std::size_t>(session_.size()), true);
    static_cast<void>(task_.choose(found_, all, report_));
    report_.explained = true;
    report_.errors = phases_.signed_here(unreadable_);
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
        make = [this] { folder_.emplace(destination(), found_.bytes); };
      }
      const mpi::Verdict made = phases_.run_task("scan", make, [this] {
        mpi::Verdict mine;
        mine.succeeded = folder_ ? 1 : 0;
        return mine;
      });
      // A node whose folder can't be made is reported and left out, as long as there is another.
      if (made.succeeded == 0 || made.interrupted != 0) return goes_on(made);
      if (made.failed > 0 && phases_.failure()) report_.errors.push_back(*phases_.failure());
    }
    if (task_.folders_may_be_shared && found_.files > 0) {
      if (!is_lowest_of_folder(phases_, folder_ ? &*folder_ : nullptr)) folder_.reset();
    }
    const std::vector<std::int64_t> flags =
        session_.exchange(folder_ || (found_.files == 0 && task_.wants(me_)) ? 1 : 0);
    for (std::size_t rank = 0; rank < flags.size(); ++rank) {
      writes[rank] = flags[rank] != 0;
      destinations_ += flags[rank];
    }
    way_ = task_.choose(found_, writes, report_);
    phases_.expect(found_.open_ended ? -1 : found_.bytes * destinations_, found_.files * destinations_);
    return true;
  }

  // True when the verdict lets the job go on; else this rank keeps what it has to report.
  bool goes_on(const mpi::Verdict& verdict) {
    interrupted_ = std::max(interrupted_, verdict.interrupted);
    if (phases_.failure()) report_.errors.push_back(*phases_.failure());
    return verdict.failure.kind == Kind::kNone && interrupted_ == 0;
  }

  std::string destination() const {
    return absolute(options_.start_directory, expand(task_.directory, me_, session_.host(me_)));
  }

  // Every node may see the source, and yet the route begin at one.
  bool is_origin() const { return me_ == task_.root || (source_ != nullptr && way_.route->origins() > 1); }

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
    settings.relay.bwlimit = options_.common.bwlimit;
    settings.relay.limit_local = !task_.limit_cards_only;
    // With slots of its own a rank that falls behind frees its neighbour's; over a direct route nobody else waits for
    // them.
    if (way_.route->lanes() > 1 || destinations_ > 1) settings.relay.held_most = kHeldMost;
    const bool writes = way_.route->is_destination(me_);
    if (writes) {
      const file::Writer::Settings how{options_.common.fsync, options_.common.read_back, task_.leave_same,
                                       task_.checksum};
      sink_ = std::make_unique<file::Writer>(folder_ ? &*folder_ : nullptr, how);
    }
    engine::Transfer transfer(session_.transport(), phases_.workers(), *pools_, *way_.route,
                              is_origin() ? source_.get() : nullptr, sink_.get(), settings);
    Phase phase;
    phase.name = "transfer";
    phase.step = [&] { return transfer.step(); };
    phase.done = [&] { return transfer.done(); };
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
    interrupted_ = phases_.run(phase).interrupted;
    tell(transfer);
    tell_times(transfer);
  }

  mpi::Verdict verdict(const engine::Transfer& transfer) const {
    mpi::Verdict mine;
    const std::vector<base::Failure> failures = phases_.signed_here(transfer.failures());
    mine.failed = static_cast<std::int64_t>(failures.size());
    for (const base::Failure& failure : failures) {
      if (base::more_telling(failure.kind, mine.failure.kind)) mine.failure = failure;
    }
    return mine;
  }

  // Takes over into the report what the transfer did on this rank.
  void tell(const engine::Transfer& transfer) {
    std::vector<base::Failure> failures = phases_.signed_here(transfer.failures());
    // An interrupt explains by itself what it cut short.
    if (interrupted_ != 0)
      std::erase_if(failures, [](const base::Failure& failure) { return failure.error_number == EINTR; });
    report_.errors.insert(report_.errors.end(), failures.begin(), failures.end());
    if (const auto* origin = transfer.origin()) rank_.bytes_read = origin->counts().bytes_read;
    if (const auto* destination = transfer.destination()) {
      const engine::Destination::Counts& counts = destination->counts();
      report_.files = static_cast<std::int64_t>(counts.files_committed + counts.files_in_place);
      report_.bytes = counts.bytes_committed + counts.bytes_in_place;
      report_.bytes_moved = rank_.bytes_written = counts.bytes_written;
      if (report_.files == 1 && found_.files == 1) {
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

  void commit() {
    std::function<void()> task;
    if (folder_) {
      task = [this] {
        sink_.reset();
        if (report_.files == 0) {
          folder_->remove_made();
        } else if (options_.common.fsync) {
          folder_->sync();
        }
      };
    }
    goes_on(phases_.run_task("commit", task, [] { return mpi::Verdict{}; }));
  }

  Report finish() {
    report_.errors_total = static_cast<std::int64_t>(report_.errors.size());
    if (report_.errors.size() > kErrorsKept) report_.errors.resize(kErrorsKept);
    rank_.rank = me_;
    rank_.host = session_.host(me_);
    rank_.peak_rss = peak_rss();
    report_.ranks = {rank_};
    return phases_.finish(report_, interrupted_);
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
  std::span<std::byte> memory_;
  std::optional<file::Folder> folder_;
  std::optional<engine::Pools> pools_;
  std::unique_ptr<file::Reader> source_;
  std::unique_ptr<file::Writer> sink_;
  std::int64_t destinations_ = 0;
  std::vector<base::Failure> unreadable_;  // --explain reports what no transfer will
  RankReport rank_;
  Report report_;
};

}  // namespace

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
