// The phases: scan (who has a folder of its own to give, and the receiver's folders for what comes), then one phase in
// which all givers' streams run, and the receiver's folders are finished. Where several givers' files go beneath one
// folder there is a phase more before anything is moved: the receiver hears all names, so that of a name that two
// givers have nothing is touched.
#include "command/concat.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "base/failures.h"
#include "base/seconds.h"
#include "command/concat_memory.h"
#include "command/concat_out.h"
#include "command/concat_streams.h"
#include "command/lines.h"
#include "command/names_to_rank_zero.h"
#include "command/phases.h"
#include "command/place.h"
#include "command/sources.h"
#include "file/folder_key.h"
#include "file/reader.h"

namespace argosy::command {

namespace {

using Clock = std::chrono::steady_clock;
using base::Kind;

constexpr std::size_t kMostAhead = 8;  // chunks being read

bool has(const std::vector<int>& ranks, int rank) { return std::find(ranks.begin(), ranks.end(), rank) != ranks.end(); }

class Concat {
 public:
  Concat(const Options& options, const GatherOptions& asked, mpi::Session& session, const Surroundings& surroundings)
      : options_(options),
        asked_(asked),
        session_(session),
        surroundings_(surroundings),
        me_(session.rank()),
        receives_(session.rank() == asked.to),
        phases_(session, options.common, surroundings.observer),
        out_(options, asked, session.hosts()),
        lines_(surroundings.observer, options.common.json, options.common.quiet, "names", "path") {
    report_.command = GatherOptions::kName;
    report_.dry_run = asked.tree.dry_run;
  }

  Report run() {
    if (surroundings_.observer != nullptr) surroundings_.observer->started();
    const auto start = Clock::now();
    const bool ready = find_givers() && take_memory() && open() && leave_out_destinations() && hear();
    report_.seconds.scan = base::seconds_since(start);
    if (ready) {
      const auto begun = Clock::now();
      move();
      report_.seconds.transfer = base::seconds_since(begun);
    }
    const auto moved = Clock::now();
    commit();
    report_.seconds.commit = base::seconds_since(moved);
    Report whole = finish();
    whole.seconds.total = base::seconds_since(start);
    return whole;
  }

 private:
  // This rank's DIR.
  std::string directory() const { return expand(asked_.directory, me_, session_.host(me_)); }

  // Keeps what this rank has to report of a phase; false when the user has asked to stop.
  bool note(const mpi::Verdict& verdict) {
    interrupted_ = std::max(interrupted_, verdict.interrupted);
    failed_ += verdict.failed;
    if (phases_.failure()) errors_.add(*phases_.failure());
    return interrupted_ == 0;
  }

  std::unique_ptr<file::Reader> open_source() const {
    file::Selection selection = selection_of(asked_.tree, options_.start_directory);
    selection.beneath = true;
    const std::string shown = directory();
    file::Named named{absolute(options_.start_directory, shown), std::string(kTop), shown};
    auto source = std::make_unique<file::Reader>(std::vector{std::move(named)}, nullptr, std::move(selection));
    const file::Reader::Totals totals = source->scan(asked_.checksum);
    if (!totals.failures.empty()) throw base::Error(totals.failures.front());
    return source;
  }

  // Of the ranks that see one folder the lowest gives it. A rank without one has failed; the others go on.
  bool find_givers() {
    std::string key;
    const mpi::Verdict found = phases_.run_task(
        "scan",
        [this, &key] {
          const std::string shown = directory();
          const std::string mine = file::folder_key(absolute(options_.start_directory, shown), shown);
          source_ = open_source();
          key = mine;
        },
        [] { return mpi::Verdict{}; });
    if (!note(found)) return false;
    std::map<std::string, int> lowest;
    const std::vector<std::string> keys = session_.exchange(key);
    for (int rank = 0; rank < session_.size(); ++rank) {
      const std::string& other = keys[static_cast<std::size_t>(rank)];
      if (!other.empty() && lowest.emplace(other, rank).second) givers_.push_back(rank);
    }
    return !givers_.empty();
  }

  bool take_memory() {
    std::vector<int> nodes(static_cast<std::size_t>(session_.size()));
    for (int rank = 0; rank < session_.size(); ++rank) nodes[static_cast<std::size_t>(rank)] = session_.node_of(rank);
    const auto memory = divide_memory(options_.common, nodes, givers_, asked_.to);
    if (!memory) {
      if (me_ == 0) {
        errors_.add({Kind::kUsage,
                     {},
                     -1,
                     {},
                     0,
                     fmt::format("--memory is too small for the files of {} ranks", givers_.size())});
      }
      return false;
    }
    memory_ = *memory;
    slots_ = session_.allocate_pool(memory_.bytes(me_, asked_.to));
    return true;
  }

  // The receiver's folders, one for each OUT. Where one can't be had its givers' files stay where they are.
  bool open() {
    for (const int giver : givers_) out_.add(giver);
    std::vector<base::Failure> failures;
    std::function<void()> make;
    if (receives_) make = [this, &failures] { out_.open(failures); };
    const bool goes_on = note(phases_.run_task("scan", make, [] { return mpi::Verdict{}; }));
    keep_failures(failures);
    if (!goes_on) return false;
    const std::string opened = session_.exchange(out_.opened())[static_cast<std::size_t>(asked_.to)];
    for (const int giver : out_.without(opened)) {
      std::erase(givers_, giver);
      ++failed_;
    }
    return !givers_.empty();
  }

  // OUT beneath a giver's own folder would be moved into itself without end.
  bool leave_out_destinations() {
    std::function<void()> look;
    if (has(givers_, me_) && session_.node_of(me_) == session_.node_of(asked_.to)) {
      look = [this] {
        destinations_ = out_.folders();
        source_->leave_out(destinations_);
      };
    }
    return note(phases_.run_task("scan", look, [] { return mpi::Verdict{}; }));
  }

  // Where several givers share a folder: what each has.
  bool hear() {
    std::vector<int> givers = out_.sharing();
    std::erase_if(givers, [this](int giver) { return !has(givers_, giver); });
    if (givers.empty()) return true;
    std::unique_ptr<file::Reader> names;
    std::function<void()> look;
    if (has(givers, me_)) {
      look = [this, &names] {
        names = open_source();
        names->leave_out(destinations_);
      };
    }
    // That it can't be looked at any more is told when it is to be moved.
    phases_.run_task("scan", look, [] { return mpi::Verdict{}; });
    const std::vector<std::int64_t> there = session_.exchange(names ? 1 : 0);
    std::erase_if(givers, [&](int giver) { return there[static_cast<std::size_t>(giver)] == 0; });
    ConcatStreams::Setup setup = setup_for(givers, names.get(), ConcatSink::Purpose::kHear);
    setup.settings.origin.only_ask = [](const core::Entry&) {};
    ConcatStreams streams(session_, phases_.workers(), slots_, std::move(setup));
    run_streams("scan", streams);
    // What could not be read is told once, when it is to be moved.
    if (receives_) keep_failures(streams.totals().destination_failures);
    return interrupted_ == 0;
  }

  ConcatStreams::Setup setup_for(const std::vector<int>& givers, core::Source* source, ConcatSink::Purpose purpose) {
    ConcatStreams::Setup setup;
    setup.receiver = asked_.to;
    setup.givers = givers;
    setup.memory = memory_;
    setup.source = source;
    setup.settings.origin.chunk_size = memory_.chunk_size;
    const std::size_t reading = memory_.reading[static_cast<std::size_t>(me_)];
    setup.settings.origin.ahead = std::clamp<std::size_t>(reading / 2, 1, kMostAhead);
    // The limit is one for the receiver's card, too: each stream has its part.
    if (options_.common.bwlimit > 0) {
      const auto streams = static_cast<std::int64_t>(std::max<std::size_t>(1, memory_.at_once));
      setup.settings.relay.bwlimit = std::max<std::int64_t>(1, options_.common.bwlimit / streams);
    }
    setup.sink_of = [this, purpose](int giver) { return out_.sink_of(giver, purpose); };
    return setup;
  }

  void move() {
    phases_.expect(-1, -1);
    core::Source* source = has(givers_, me_) ? source_.get() : nullptr;
    ConcatStreams::Setup setup = setup_for(givers_, source, ConcatSink::Purpose::kMove);
    if (asked_.tree.dry_run) setup.settings.origin.only_ask = [](const core::Entry&) {};
    ConcatStreams streams(session_, phases_.workers(), slots_, std::move(setup));
    std::optional<NamesToRankZero> names;
    if (asked_.tree.dry_run) {
      names.emplace(session_.transport(), asked_.to,
                    [this](const std::string& name) { lines_.add(name, base::printable_name(name)); });
    }
    run_streams("transfer", streams, names ? &*names : nullptr);
    lines_.flush();
    const ConcatStreams::Totals totals = streams.totals();
    keep_failures(totals.origin_failures);
    keep_failures(totals.destination_failures);
    rank_.bytes_read = totals.bytes_read;
    for (const auto& [to, link] : totals.links) rank_.links.push_back({to, link.busy(), link.fastest()});
    engine::Meter& meter = phases_.workers().meter();
    rank_.network_wait = streams.network_wait();
    rank_.disk = meter.seconds(engine::Work::kDisk);
    rank_.hash = meter.seconds(engine::Work::kHash);
    rank_.source = meter.seconds(engine::Work::kSource);
    if (!receives_) return;
    const engine::Destination::Counts counts = streams.counts();
    report_.files =
        static_cast<std::int64_t>(counts.files_committed + counts.files_in_place + counts.links_and_specials);
    report_.folders = static_cast<std::int64_t>(counts.folders);
    report_.bytes = counts.bytes_committed + counts.bytes_in_place;
    report_.bytes_moved = rank_.bytes_written = counts.bytes_written;
  }

  void run_streams(const std::string& name, ConcatStreams& streams, NamesToRankZero* names = nullptr) {
    Phase phase;
    phase.name = name;
    phase.step = [&] {
      const bool any = streams.step();
      if (names != nullptr) {
        for (const std::string& one : out_.take_names()) names->add(one);
        if (streams.done()) names->end();
      }
      return any;
    };
    phase.done = [&] { return streams.done() && (names == nullptr || names->done()); };
    phase.stop = [&] { streams.stop(); };
    phase.verdict = [&] {
      mpi::Verdict mine;
      const ConcatStreams::Totals totals = streams.totals();
      mine.failed = totals.origin_failures.total() + totals.destination_failures.total();
      return mine;
    };
    phase.status = [&] {
      engine::Pulse::Status status;
      std::tie(status.waits_for, status.what) = streams.waits_for();
      const engine::Destination::Counts counts = streams.counts();
      status.bytes = counts.bytes_written;
      status.files = counts.files_committed;
      return status;
    };
    phase.sample = [&](double passed) { streams.sample(passed); };
    const mpi::Verdict all = run_or_distrust(phase);
    interrupted_ = std::max(interrupted_, all.interrupted);
    failed_ += all.failed;
  }

  mpi::Verdict run_or_distrust(const Phase& phase) {
    try {
      return phases_.run(phase);
    } catch (const base::Error& error) {
      // A peer broke the protocol: what it has sent so far is no ground to go on from.
      if (error.failure().kind == Kind::kIntegrity) out_.distrust();
      throw;
    }
  }

  void keep_failures(base::Failures failures) {
    // An interrupt explains by itself what it cut short.
    if (interrupted_ != 0) failures.leave_out(EINTR);
    errors_.add(failures);
  }
  void keep_failures(std::vector<base::Failure> failures) {
    base::Failures all;
    all.add(std::move(failures));
    keep_failures(std::move(all));
  }

  void commit() {
    file::Writer::Finished finished;
    std::function<void()> task;
    if (receives_) {
      task = [this, &finished] {
        const bool visible = out_.finish(failed_ > 0 || interrupted_ != 0, finished);
        report_.files += static_cast<std::int64_t>(finished.hard_links) - finished.files_lost;
        report_.bytes -= finished.bytes_lost;
        if (!visible) report_.files = report_.folders = 0;
        const bool arrived = report_.files > 0 || report_.folders > 0;
        out_.close(arrived);
        // Last: that it can't be written must not keep anything else from being done.
        if (arrived && interrupted_ == 0) out_.save_manifest();
      };
    }
    note(phases_.run_task("commit", task, [] { return mpi::Verdict{}; }));
    keep_failures(std::move(finished.failures));
  }

  Report finish() {
    report_.errors = phases_.signed_where_missing(errors_.kept());
    report_.errors_total = errors_.total();
    report_.would_change = lines_.count();
    return phases_.finish(std::move(report_), rank_, interrupted_);
  }

  const Options& options_;
  const GatherOptions& asked_;
  mpi::Session& session_;
  const Surroundings& surroundings_;
  int me_;
  bool receives_;
  Phases phases_;
  ConcatOut out_;
  int interrupted_ = 0;
  std::int64_t failed_ = 0;  // of all ranks
  std::unique_ptr<file::Reader> source_;
  std::vector<int> givers_;
  std::vector<file::FolderId> destinations_;  // that this rank's walk leaves out
  ConcatMemory memory_;
  std::span<std::byte> slots_;
  Lines lines_;  // of --dry-run
  base::Failures errors_;
  RankReport rank_;
  Report report_;
};

}  // namespace

Report concat(const Options& options, const GatherOptions& asked, mpi::Session& session,
              const Surroundings& surroundings) {
  return Concat(options, asked, session, surroundings).run();
}

}  // namespace argosy::command
