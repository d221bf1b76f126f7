// argosy moves files between the nodes of a cluster over MPI. This file is the list of what a process of it does: read
// the command line, find out who started it, and then either start the job and watch over it, or be one of its ranks.
#include <malloc.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "cli/console.h"
#include "cli/launcher.h"
#include "cli/parse.h"
#include "cli/process.h"
#include "cli/render.h"
#include "cli/supervisor.h"
#include "command/run.h"
#include "mpi/session.h"

namespace argosy {
namespace {

constexpr std::chrono::seconds kRankZeroEndsIt(3);
constexpr int kUsageExit = static_cast<int>(base::Kind::kUsage);

// As many descriptors as this process may have: shells give few by default, for programs that use select(2).
void raise_descriptor_limit() {
  constexpr rlim_t kMost = 1 << 20;
  rlimit limit = {};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  const rlim_t most = std::min(limit.rlim_max, kMost);
  if (limit.rlim_cur >= most) return;
  limit.rlim_cur = most;
  // Where it can't be raised, fewer folders are kept open.
  static_cast<void>(setrlimit(RLIMIT_NOFILE, &limit));
}

// Pages of a manifest come and go by the hundred thousand: what one of them gives back the next one takes. The C
// library would return it to the system in between, and each first touch costs a page fault again.
void keep_freed_memory() {
  constexpr int kKept = 16 << 20;
  constexpr int kMappedFrom = 4 << 20;
  // Where it can't be set it goes on as before.
  static_cast<void>(mallopt(M_TRIM_THRESHOLD, kKept));
  static_cast<void>(mallopt(M_TOP_PAD, 1 << 20));
  static_cast<void>(mallopt(M_MMAP_THRESHOLD, kMappedFrom));
}

// One rank of the job, from MPI's start to its end. Does not return.
[[noreturn]] void run_rank(const command::Options& options, const cli::Launch& launch) {
  const bool supervised = !launch.channel.empty();
  // A launcher that our supervisor had to kill must not leave ranks behind; failing that, they end by the stall
  // timeout.
  if (supervised) static_cast<void>(prctl(PR_SET_PDEATHSIG, static_cast<unsigned long>(SIGKILL), 0UL, 0UL, 0UL));
  raise_descriptor_limit();
  keep_freed_memory();
  std::unique_ptr<cli::Console> console;
  std::optional<mpi::Session> session;
  try {
    session.emplace();
    base::catch_interrupts();
    const std::string who = "rank " + std::to_string(session->rank()) + " on " + session->host(session->rank());
    base::open_log(who, options.common.verbose);
    if (session->rank() == 0) console = cli::open_console(launch, options.common);
    command::Surroundings surroundings;
    surroundings.observer = console.get();
    surroundings.open_standard_input = [&console] { return console->open_standard_input(); };
    surroundings.open_standard_output = [&console] { return console->open_standard_output(); };
    const command::Report report = command::run(options, *session, surroundings);
    const int rank_zero = console ? console->finish(report) : 0;
    const int code = console ? rank_zero : supervised ? 0 : report.exit;
    session->end(code, supervised);
  } catch (const base::Error& error) {
    const int code = static_cast<int>(error.failure().kind);
    if (console) {
      console->fatal(code, error.what());
    } else if (!error.failure().message.empty()) {
      cli::complain(error.what());
    } else {
      // Rank 0 says why, and ends the job.
      std::this_thread::sleep_for(kRankZeroEndsIt);
    }
    if (session) session->abort(code);
    std::fflush(nullptr);
    _exit(code);
  } catch (const std::exception& error) {
    // Out of memory, or a mistake of ours: no rank is left waiting for this one.
    constexpr int kCode = static_cast<int>(base::Kind::kSystem);
    const std::string line = std::string("internal error: ") + error.what();
    if (console) {
      console->fatal(kCode, line);
    } else {
      cli::complain(line);
    }
    if (session) session->abort(kCode);
    _exit(kCode);
  }
}

int run(int argc, char** argv) {
  const cli::Environment environment = cli::process_environment();
  const cli::Launch launch = cli::detect_launch(cli::kMpi, environment);
  const std::vector<std::string> words = cli::command_line(argc, argv, launch, environment);
  cli::hide_credentials(argc, argv);
  cli::Parsed parsed = cli::parse(words);
  // Under a launcher one process says it. The others end with 0: a launcher that sees one of them fail first would kill
  // the one that is about to speak.
  if (!parsed.options) {
    if (!launch.speaks) return 0;
    cli::print({parsed.out, parsed.err});
    return parsed.exit;
  }
  if (launch.starter == cli::Starter::kOtherMpi) {
    if (!launch.speaks) return 0;
    cli::complain(launch.refusal);
    return kUsageExit;
  }
  parsed.options->start_directory = cli::start_directory(launch, environment);
  if (launch.starter == cli::Starter::kNobody) return cli::supervise(*parsed.options, words);
  run_rank(*parsed.options, launch);
}

}  // namespace
}  // namespace argosy

int main(int argc, char** argv) {
  argosy::cli::hold_standard_descriptors();
  // Whoever reads our output may go away: that is an error of write(2), not the end of a job.
  std::signal(SIGPIPE, SIG_IGN);
  // Files that their own user may not open are of no use to MPI's shared memory, nor to us.
  static_cast<void>(umask(umask(0077) & 0077));
  try {
    return argosy::run(argc, argv);
  } catch (const argosy::base::Error& error) {
    argosy::cli::complain(error.what());
    return static_cast<int>(error.failure().kind);
  }
}
