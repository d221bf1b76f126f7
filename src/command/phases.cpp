#include "command/phases.h"

#include <fmt/format.h>
#include <sys/prctl.h>

#include <algorithm>
#include <csignal>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>
#include <utility>

#include "base/activity.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/failures.h"
#include "base/interrupt.h"
#include "base/log.h"

namespace argosy::command {

namespace {

using Clock = std::chrono::steady_clock;

// A few threads overlap reading with hashing and keep a device's queue filled. More than the cores that are this rank's
// share only compete.
std::size_t io_threads(const mpi::Session& session) {
  constexpr std::size_t kLeast = 2;
  constexpr std::size_t kMost = 4;
  const std::size_t cores = std::max(1U, std::thread::hardware_concurrency());
  std::size_t ranks = 0;
  for (int rank = 0; rank < session.size(); ++rank) {
    if (session.node_of(rank) == session.node_of(session.rank())) ++ranks;
  }
  return std::clamp<std::size_t>(cores / ranks, kLeast, kMost);
}

constexpr double kReportSeconds = 30;
// A rank whose main thread runs finds out earlier, and says more.
constexpr double kWatchdogSlack = 10;

double watchdog_seconds(const CommonOptions& options) {
  const double stall = patience(options);
  return stall > 0 ? std::max(stall, kReportSeconds) + kWatchdogSlack : 0;
}

// How long a job that has failed takes to tell all ranks.
constexpr std::chrono::milliseconds kLastWords(500);
constexpr std::chrono::seconds kRankZeroEndsIt(3);

}  // namespace

double patience(const CommonOptions& options) {
  if (options.stall_timeout <= 0 || options.bwlimit == 0) return options.stall_timeout;
  // Commands choose chunks of an eighth of a second, but none smaller than a leaf.
  const std::int64_t chunk = std::max({options.chunk_size, options.bwlimit / 8, base::kLeafSize});
  return std::max(options.stall_timeout, 4 * static_cast<double>(chunk) / static_cast<double>(options.bwlimit));
}

Phases::Phases(mpi::Session& session, const CommonOptions& options, Observer* observer)
    : session_(session),
      options_(options),
      observer_(observer),
      workers_(io_threads(session)),
      pulse_(session.transport(), session.hosts(), patience(options)),
      watchdog_(watchdog_seconds(options),
                fmt::format("rank {} on {}", session.rank(), base::printable(session.host(session.rank())))),
      idle_since_(Clock::now()),
      watched_(idle_since_) {
  // The loop sleeps for tens of microseconds; the default slack alone is 50. Without it the sleep is longer, no more.
  static_cast<void>(prctl(PR_SET_TIMERSLACK, 1000UL, 0UL, 0UL, 0UL));
}

mpi::Verdict Phases::run(const Phase& phase) {
  base::log(phase.name + " begins");
  try {
    return go(phase);
  } catch (const base::Error& error) {
    fail(error.failure());
  }
}

// Tells the others, so that every rank can take away what it has begun before the job is ended.
void Phases::fail(base::Failure failure) {
  if (failure.rank < 0) failure = signed_here({failure}).front();
  const bool known = pulse_.fatal().has_value();
  pulse_.set_fatal(failure);
  const bool root = session_.rank() == 0;
  const auto give_up = Clock::now() + (root ? kLastWords : 4 * kLastWords);
  bool told = false;
  try {
    // Rank 0 answers for a while; the others go once it has answered.
    while (Clock::now() < give_up && (root || (!known && !(told && pulse_.quiet())))) {
      session_.transport().poll();
      pulse_.step([&] {
        engine::Pulse::Status status;
        status.fatal = failure;
        status.activity = base::activity();
        told = true;
        return status;
      });
      workers_.wait(std::chrono::milliseconds(1));
    }
  } catch (const base::Error&) {
    // MPI itself has failed: nobody can be told.
  }
  // Rank 0 says it; the others are silent where it could be told, and wait for it to end the job.
  const bool silent = !root && (known || (told && pulse_.quiet()));
  if (!workers_.abandon(kLastWords)) {
    // A task that hangs in a file system still uses what an exception would destroy: the job ends from here.
    const int code = static_cast<int>(failure.kind);
    if (observer_ != nullptr) {
      observer_->fatal(code, base::describe(failure));
    } else if (silent) {
      std::this_thread::sleep_for(kRankZeroEndsIt);
    } else {
      base::complain(base::describe(failure));
    }
    session_.abort(code);
  }
  if (silent) failure.message.clear();
  throw base::Error(failure);
}

mpi::Verdict Phases::go(const Phase& phase) {
  std::optional<mpi::Agreement> agreement;
  bool stopped = false;
  while (true) {
    watchdog_.beat();
    bool busy = session_.transport().poll() > 0;
    busy = workers_.drain() > 0 || busy;
    busy = phase.step() || busy;
    watch(phase);
    if (base::interrupted() != 0 && !stopped) {
      stopped = true;
      phase.stop();
    }
    if (!agreement && phase.done()) {
      mpi::Verdict mine = phase.verdict();
      mine.interrupted = base::interrupted();
      agreement = session_.agree(mine);
    }
    if (agreement && agreement->reached()) return agreement->verdict();
    rest(busy);
  }
}

void Phases::watch(const Phase& phase) {
  // Looked at a thousand times a second at most: a chunk must not wait for a clock or a socket.
  const auto now = Clock::now();
  if (now - watched_ < std::chrono::milliseconds(1)) return;
  phase.sample(std::chrono::duration<double>(now - watched_).count());
  watched_ = now;
  pulse_.step([&] {
    engine::Pulse::Status status = phase.status();
    status.activity = base::activity();
    status.interrupted = base::interrupted();
    return status;
  });
  if (observer_ != nullptr) {
    if (observer_->interrupted()) base::interrupt(SIGINT);
    Progress progress = expected_;
    progress.phase = phase.name;
    progress.bytes = pulse_.bytes();
    progress.files = static_cast<std::int64_t>(pulse_.files());
    observer_->progress(progress);
  }
  if (pulse_.fatal()) throw base::Error(*pulse_.fatal());
  if (const auto line = pulse_.stalled()) throw base::Error(base::Kind::kSystem, {}, 0, *line);
}

void Phases::rest(bool busy) {
  const auto now = Clock::now();
  if (busy) {
    idle_since_ = now;
    return;
  }
  // MPI moves messages only while somebody is inside a call: look often while data is expected, seldom when it is not.
  // As long as the I/O threads have work, their next completion wakes this thread, and a message can wait in its
  // window: every look takes a core away from them.
  const auto idle = now - idle_since_;
  if (workers_.outstanding() > 0 && idle < std::chrono::milliseconds(10)) {
    workers_.wait(std::chrono::microseconds(500));
  } else if (idle < std::chrono::milliseconds(10)) {
    workers_.wait(std::chrono::microseconds(50));
  } else if (idle < std::chrono::seconds(1)) {
    workers_.wait(std::chrono::milliseconds(1));
  } else {
    workers_.wait(std::chrono::milliseconds(4));
  }
}

mpi::Verdict Phases::run_task(const std::string& name, std::function<void()> task,
                              std::function<mpi::Verdict()> verdict) {
  failure_.reset();
  auto failure = std::make_shared<std::optional<base::Failure>>();
  bool done = !task;
  if (task) {
    workers_.post(
        [task = std::move(task), failure] {
          try {
            task();
          } catch (const base::Error& error) {
            *failure = error.failure();
          }
        },
        [&done] { done = true; });
  }
  Phase phase;
  phase.name = name;
  phase.step = [] { return false; };
  phase.done = [&done] { return done; };
  phase.verdict = [&] {
    mpi::Verdict mine = verdict();
    if (*failure) {
      failure_ = signed_here({**failure}).front();
      mine.failure = *failure_;
      ++mine.failed;
    }
    return mine;
  };
  phase.status = [this, &done] {
    engine::Pulse::Status status;
    if (!done) status.waits_for = session_.rank();
    status.what = "its own disk";
    return status;
  };
  return run(phase);
}

Report Phases::finish(Report mine, RankReport rank, int interrupted) {
  mine.errors_total = std::max(mine.errors_total, static_cast<std::int64_t>(mine.errors.size()));
  if (mine.errors.size() > kErrorsKept) mine.errors.resize(kErrorsKept);
  rank.rank = session_.rank();
  rank.host = session_.host(rank.rank);
  rank.peak_rss = peak_rss();
  mine.ranks = {std::move(rank)};
  // Nobody leaves the pulse before everybody's last word to rank 0 has been answered.
  Phase quiet;
  quiet.name = "report";
  quiet.step = [] { return false; };
  quiet.done = [this] { return pulse_.quiet(); };
  quiet.verdict = [] { return mpi::Verdict{}; };
  pulse_.close();
  const mpi::Verdict last = run(quiet);
  const std::vector<std::string> texts = session_.gather(to_json(mine).dump(), kReportSeconds);
  Report whole = std::move(mine);
  if (session_.rank() == 0) merge(texts, whole);
  const int signal_number = std::max(interrupted, last.interrupted);
  const bool succeeded = whole.files + whole.folders > 0 && !whole.unfounded;
  int code = signal_number != 0 ? 128 + signal_number : base::exit_code(succeeded, whole.errors);
  if (code == 0 && whole.differences > 0) code = base::kExitPartial;
  // Rank 0 knows the code; under somebody else's launcher every rank ends with it.
  quiet.verdict = [&] {
    mpi::Verdict verdict;
    if (session_.rank() == 0) verdict.succeeded = code;
    return verdict;
  };
  whole.exit = static_cast<int>(run(quiet).succeeded);
  return whole;
}

void Phases::merge(const std::vector<std::string>& texts, Report& whole) {
  whole.ranks.clear();
  whole.errors.clear();
  whole.warnings.clear();
  whole.errors_total = whole.folders = whole.files = whole.bytes = whole.bytes_moved = 0;
  whole.digest.clear();
  whole.name.clear();
  whole.stripe.reset();
  base::Failures failures;
  for (const std::string& text : texts) {
    Report part = report_from_json(nlohmann::json::parse(text));
    whole.ranks.insert(whole.ranks.end(), part.ranks.begin(), part.ranks.end());
    // A file counts once, however many destinations have it.
    whole.files = std::max(whole.files, part.files);
    whole.folders = std::max(whole.folders, part.folders);
    whole.bytes = std::max(whole.bytes, part.bytes);
    whole.bytes_moved = std::max(whole.bytes_moved, part.bytes_moved);
    whole.differences = std::max(whole.differences, part.differences);
    whole.would_change = std::max(whole.would_change, part.would_change);
    whole.errors_total += part.errors_total;
    failures.add(std::move(part.errors));
    for (base::Failure& warning : part.warnings) {
      if (whole.warnings.size() < kErrorsKept) whole.warnings.push_back(std::move(warning));
    }
    if (whole.digest.empty()) whole.digest = part.digest;
    if (whole.name.empty()) whole.name = part.name;
    if (!whole.stripe) whole.stripe = std::move(part.stripe);
  }
  whole.errors = failures.kept();
}

std::vector<base::Failure> Phases::signed_where_missing(std::vector<base::Failure> failures) const {
  for (base::Failure& failure : failures) {
    if (failure.rank < 0) failure = signed_here({std::move(failure)}).front();
  }
  return failures;
}

std::vector<base::Failure> Phases::signed_here(std::vector<base::Failure> failures) const {
  for (base::Failure& failure : failures) {
    failure.rank = session_.rank();
    failure.host = session_.host(session_.rank());
  }
  return failures;
}

}  // namespace argosy::command
