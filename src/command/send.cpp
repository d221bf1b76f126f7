#include "command/send.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <memory>
#include <optional>
#include <set>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

#include "base/interrupt.h"
#include "core/chunk.h"
#include "core/route.h"
#include "command/phases.h"
#include "command/place.h"
#include "engine/pool.h"
#include "engine/transfer.h"
#include "file/beneath.h"
#include "file/reader.h"
#include "file/writer.h"

namespace argosy::command {

namespace {

using Clock = std::chrono::steady_clock;
using base::Kind;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

constexpr std::int64_t kDefaultChunk = 1 << 20;
// More slots than these add no speed to a direct route, and leave the processor's cache.
constexpr std::size_t kMostSlots = 24;
constexpr std::size_t kNeighbourSlots = 4;

// A chunk takes no more than an eighth of a second at the bandwidth limit, so that a slow transfer is a steady one.
std::int64_t choose_chunk_size(const CommonOptions& options) {
  if (options.chunk_size > 0) return options.chunk_size;
  const std::int64_t by_memory = options.memory / 16 / base::kLeafSize * base::kLeafSize;
  std::int64_t size = std::min(kDefaultChunk, by_memory);
  if (options.bwlimit > 0) size = std::min(size, options.bwlimit / 8 / base::kLeafSize * base::kLeafSize);
  return std::max(size, base::kLeafSize);
}

std::size_t slot_bytes(std::int64_t chunk_size) {
  constexpr std::size_t kMemoryPage = 4096;
  return (core::message_capacity(chunk_size) + kMemoryPage - 1) / kMemoryPage * kMemoryPage;
}

// The highest resident size of this process so far, in bytes (VmHWM: unlike getrusage's, not inherited over exec).
std::int64_t peak_rss() {
  std::ifstream status("/proc/self/status");
  std::string key;
  while (status >> key) {
    std::int64_t kibibytes = 0;
    if (key == "VmHWM:" && status >> kibibytes) return kibibytes * 1024;
    status.ignore(1 << 12, '\n');
  }
  return 0;
}

class Send {
 public:
  Send(const Options& options, mpi::Session& session, const Surroundings& surroundings)
      : options_(with_chunk_size(options)),
        asked_(std::get<SendOptions>(options_.command)),
        session_(session),
        surroundings_(surroundings),
        route_(asked_.from, asked_.to),
        phases_(session, options_.common, surroundings.observer) {}

  Report run() {
    report_.command = "send";
    const auto start = Clock::now();
    if (surroundings_.observer != nullptr) surroundings_.observer->started();
    allocate_pool();
    if (scan()) {
      report_.seconds.scan = seconds_since(start);
      const auto begun = Clock::now();
      transfer();
      report_.seconds.transfer = seconds_since(begun);
      const auto moved = Clock::now();
      commit();
      report_.seconds.commit = seconds_since(moved);
    } else {
      report_.seconds.scan = seconds_since(start);
    }
    Report whole = finish();
    whole.seconds.total = seconds_since(start);
    return whole;
  }

 private:
  static Options with_chunk_size(Options options) {
    options.common.chunk_size = choose_chunk_size(options.common);
    return options;
  }

  bool is_from() const { return session_.rank() == asked_.from; }
  bool is_to() const { return session_.rank() == asked_.to; }

  // Looks at the sources, then makes the destination's folder. False when nothing is left to do.
  bool scan() {
    std::function<void()> look;
    if (is_from()) look = [this] { totals_ = open_source(); };
    found_ = phases_.run_task("scan", look, [this] {
      mpi::Verdict verdict;
      verdict.bytes = totals_.bytes;
      verdict.files = totals_.files;
      verdict.open_ended = totals_.open_ended;
      return verdict;
    });
    if (found_.failure.kind != Kind::kNone) return refused(found_);
    interrupted_ = found_.interrupted;
    if (interrupted_ != 0) return false;
    phases_.expect(found_.open_ended ? -1 : found_.bytes, found_.files);
    // With nothing to write not even the folder is made; the receiver is told all the same.
    if (found_.files == 0) return true;

    std::function<void()> prepare;
    if (is_to()) prepare = [this] { folder_.emplace(destination(), found_.bytes); };
    const mpi::Verdict prepared = phases_.run_task("scan", prepare, [] { return mpi::Verdict{}; });
    if (prepared.failure.kind != Kind::kNone) return refused(prepared);
    interrupted_ = prepared.interrupted;
    return interrupted_ == 0;
  }

  // The job ends here for a reason that all ranks know.
  bool refused(const mpi::Verdict& verdict) {
    if (session_.rank() == verdict.failure.rank) report_.errors.push_back(verdict.failure);
    interrupted_ = verdict.interrupted;
    return false;
  }

  std::string destination() const {
    return absolute(options_.start_directory, expand(asked_.directory, session_.rank(), session_.host(session_.rank())));
  }

  file::Reader::Totals open_source() {
    std::vector<std::string> paths = asked_.files;
    if (!asked_.files_from.empty()) {
      const std::vector<std::string> listed = read_sources();
      paths.insert(paths.end(), listed.begin(), listed.end());
      if (paths.empty()) throw base::Error(Kind::kUsage, asked_.files_from, 0, "names no file");
    }
    if (!asked_.as.empty() && paths.size() > 1) {
      throw base::Error(Kind::kUsage, {}, 0, fmt::format("--as names one file, and there are {} sources", paths.size()));
    }
    std::vector<file::Named> files;
    std::set<std::string> names;
    for (const std::string& path : paths) {
      file::Named named;
      named.shown = path;
      named.standard_input = path == "-" && asked_.files_from.empty();
      named.path = absolute(options_.start_directory, path);
      named.name = asked_.as.empty() ? base_name(path) : asked_.as;
      if (!core::is_safe_path(named.name)) throw base::Error(Kind::kUsage, path, 0, "gives no name for the target; use --as");
      if (!names.insert(named.name).second) {
        throw base::Error(Kind::kUsage, path, 0, "a second source has this name, and only one could have it at the destination");
      }
      files.push_back(std::move(named));
    }
    source_ = std::make_unique<file::Reader>(std::move(files), surroundings_.open_standard_input);
    return source_->scan();
  }

  std::vector<std::string> read_sources() const {
    if (asked_.files_from == "-") {
      return file::read_list(surroundings_.open_standard_input(), "standard input", asked_.from0);
    }
    const std::string path = absolute(options_.start_directory, asked_.files_from);
    const base::Fd list(open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!list.valid()) throw base::system_error(Kind::kSource, asked_.files_from, errno, "the list can't be read");
    return file::read_list(list, asked_.files_from, asked_.from0);
  }

  void allocate_pool() {
    const std::size_t bytes = slot_bytes(options_.common.chunk_size);
    const bool neighbours = session_.node_of(asked_.from) == session_.node_of(asked_.to);
    const std::size_t all = static_cast<std::size_t>(options_.common.memory) / bytes;
    std::size_t slots = 0;
    // A neighbour works out of the sender's slots; it needs its own only where memory can't be shared.
    if (is_from()) slots = std::min(kMostSlots, neighbours ? all - kNeighbourSlots : all);
    if (is_to()) slots = neighbours ? kNeighbourSlots : std::min(kMostSlots, all);
    const std::span<std::byte> memory = session_.allocate_pool(slots * bytes);
    const std::span<std::byte> none;
    pools_.emplace(engine::Pools{engine::Pool(is_from() ? memory : none, bytes), {engine::Pool(is_to() ? memory : none, bytes)}});
  }

  void transfer() {
    engine::Transfer::Settings settings;
    settings.origin.chunk_size = options_.common.chunk_size;
    settings.origin.ahead = std::max<std::size_t>(1, std::min<std::size_t>(8, pools_->reading.slots() / 2));
    settings.relay.bwlimit = options_.common.bwlimit;
    if (is_to()) {
      sink_ = std::make_unique<file::Writer>(folder_ ? &*folder_ : nullptr,
                                             file::Writer::Settings{options_.common.fsync, options_.common.read_back});
    }
    engine::Transfer transfer(session_.transport(), phases_.workers(), *pools_, route_, source_.get(), sink_.get(), settings);
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
    moved_ = phases_.run(phase);
    interrupted_ = moved_.interrupted;
    tell(transfer);
  }

  mpi::Verdict verdict(const engine::Transfer& transfer) const {
    mpi::Verdict mine;
    const std::vector<base::Failure> failures = phases_.signed_here(transfer.failures());
    mine.failed = static_cast<std::int64_t>(failures.size());
    for (const base::Failure& failure : failures) {
      if (base::more_telling(failure.kind, mine.failure.kind)) mine.failure = failure;
    }
    if (const auto* destination = transfer.destination()) {
      mine.succeeded = static_cast<std::int64_t>(destination->counts().files_committed);
    }
    return mine;
  }

  // Takes over into the report what the transfer did on this rank.
  void tell(const engine::Transfer& transfer) {
    std::vector<base::Failure> failures = phases_.signed_here(transfer.failures());
    // An interrupt explains by itself what it cut short.
    if (interrupted_ != 0) std::erase_if(failures, [](const base::Failure& failure) { return failure.error_number == EINTR; });
    report_.errors.insert(report_.errors.end(), failures.begin(), failures.end());
    if (const auto* origin = transfer.origin()) bytes_read_ = origin->counts().bytes_read;
    if (const auto* destination = transfer.destination()) {
      const engine::Destination::Counts& counts = destination->counts();
      report_.files = static_cast<std::int64_t>(counts.files_committed + counts.files_in_place);
      report_.bytes = counts.bytes_committed + counts.bytes_in_place;
      report_.bytes_moved = bytes_written_ = counts.bytes_written;
      if (report_.files == 1 && found_.files == 1) {
        if (counts.digest) report_.digest = base::to_string(*counts.digest);
        report_.name = counts.name;
      }
    }
  }

  void commit() {
    std::function<void()> task;
    if (is_to() && folder_) {
      task = [this] {
        sink_.reset();
        if (moved_.succeeded == 0) {
          folder_->remove_made();
        } else if (options_.common.fsync) {
          folder_->sync();
        }
      };
    }
    const mpi::Verdict verdict = phases_.run_task("commit", task, [] { return mpi::Verdict{}; });
    if (verdict.failure.kind != Kind::kNone) refused(verdict);
  }

  Report finish() {
    report_.errors_total = static_cast<std::int64_t>(report_.errors.size());
    if (report_.errors.size() > kErrorsKept) report_.errors.resize(kErrorsKept);
    report_.ranks = {{session_.rank(), session_.host(session_.rank()), bytes_read_, bytes_written_, peak_rss()}};
    return phases_.finish(report_, interrupted_);
  }

  Options options_;
  const SendOptions& asked_;
  mpi::Session& session_;
  const Surroundings& surroundings_;
  core::Direct route_;
  Phases phases_;
  file::Reader::Totals totals_;
  mpi::Verdict found_;
  mpi::Verdict moved_;
  int interrupted_ = 0;
  std::optional<file::Folder> folder_;
  std::optional<engine::Pools> pools_;
  std::unique_ptr<file::Reader> source_;
  std::unique_ptr<file::Writer> sink_;
  std::int64_t bytes_read_ = 0;
  std::int64_t bytes_written_ = 0;
  Report report_;
};

// What only the communicator can tell. The same on every rank.
std::optional<base::Failure> wrong_usage(const SendOptions& asked, const mpi::Session& session) {
  const auto usage = [](std::string message) { return base::Failure{Kind::kUsage, {}, -1, {}, 0, std::move(message)}; };
  if (session.size() < 2) return usage(fmt::format("send needs at least 2 ranks, and there is {}", session.size()));
  for (const int rank : {asked.from, asked.to}) {
    if (rank >= session.size()) {
      return usage(fmt::format("rank {} is out of range: the ranks are 0 to {}", rank, session.size() - 1));
    }
  }
  return std::nullopt;
}

}  // namespace

Report send(const Options& options, mpi::Session& session, const Surroundings& surroundings) {
  if (const auto failure = wrong_usage(std::get<SendOptions>(options.command), session)) {
    Report report;
    report.command = "send";
    report.exit = static_cast<int>(Kind::kUsage);
    report.errors = {*failure};
    report.errors_total = 1;
    return report;
  }
  return Send(options, session, surroundings).run();
}

}  // namespace argosy::command
