// One loop around poll(2), no threads and no signal handlers. What it waits for: signals, rank 0's frames, what mpiexec
// and the ranks print, the answer of the diagnosis, and deadlines. Everything that can hang has one.
//
// A job ends in one of these ways, each of which sets the deadlines for the rest:
// - a result frame: mpiexec may take kEndTime to end by itself (MPI_Finalize of MPICH can hang), then it is killed;
// - a fatal frame, or rank 0 silent for too long, or a job that doesn't start: SIGTERM to mpiexec, then SIGKILL to all;
// - mpiexec ends, or rank 0's connection does, without a result: the job died;
// - a signal: rank 0 is told and may clean up for kCleanUpTime, then as for a fatal frame. A second one kills at once.
#include "cli/supervisor.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "base/error.h"
#include "cli/ahead.h"
#include "cli/channel_server.h"
#include "cli/diagnose.h"
#include "cli/job_folder.h"
#include "cli/launcher.h"
#include "cli/mpiexec.h"
#include "cli/outcome.h"
#include "cli/output.h"
#include "cli/process.h"
#include "cli/progress.h"
#include "cli/pump.h"
#include "cli/render.h"
#include "cli/signals.h"

namespace argosy::cli {

namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr seconds kSlowStart(5);            // then the hosts are asked what is wrong
constexpr seconds kStartTime(60);           // then the job is given up
constexpr seconds kDiagnosisTime(12);       // for all hosts; ssh itself gives up after 10
constexpr milliseconds kCleanUpTime(1000);  // for the ranks, after a signal
constexpr milliseconds kTermTime(500);      // for mpiexec, from SIGTERM to SIGKILL
constexpr seconds kEndTime(3);              // for mpiexec, after the result
constexpr seconds kDeathTime(5);            // for mpiexec to notice that rank 0 is dead: Open MPI takes 2
constexpr seconds kSilenceSlack(5);         // beyond --stall-timeout, which the ranks watch themselves

class Supervisor {
 public:
  Supervisor(const command::Options& options, const std::vector<std::string>& words, JobPlan plan, Ahead& ahead)
      : options_(options),
        words_(words),
        plan_(std::move(plan)),
        ahead_(ahead),
        channel_(plan_.on_this_machine),
        display_(STDERR_FILENO, common_.quiet ? command::ProgressStyle::kNone : common_.progress),
        outcome_(command_name(options)) {}

  ~Supervisor() { kill_descendants(strangers_); }
  Supervisor(const Supervisor&) = delete;
  Supervisor& operator=(const Supervisor&) = delete;

  // Blocks until the job has ended and nothing of it is left on this machine.
  void run() {
    start_job();
    while (!over()) turn();
    finish();
  }
  command::Report report() const {
    return outcome_.report(started_after_.value_or(0), ended_after_.value_or(seconds_since_begin()));
  }
  Rendered rendered(const command::Report& report) const { return outcome_.rendered(report, common_); }

 private:
  void start_job();
  void turn();
  bool over() const;
  Clock::time_point next_deadline() const;
  void check_deadlines();
  void reap();
  void on_signal(int signal_number);
  void on_frame(const nlohmann::json& frame);
  void on_line(std::string_view line);
  void on_job_end();
  void on_diagnosis();
  void stop_for_a_while();
  void end_job(milliseconds until_terminated);
  void start_diagnosis();
  void start_pumps();
  void say(std::string_view line);
  void finish();

  bool diagnosing() const { return diagnosis_.output.valid(); }
  std::optional<Clock::time_point> silence_deadline() const;
  double seconds_since_begin() const { return std::chrono::duration<double>(Clock::now() - begin_).count(); }

  const command::Options& options_;
  const command::CommonOptions& common_ = options_.common;
  const std::vector<std::string>& words_;
  const JobPlan plan_;
  Ahead& ahead_;
  const std::string program_ = own_program();
  const Clock::time_point begin_ = Clock::now();
  // Children from before, of a shell that became us: not ours to kill.
  const std::set<ProcessId> strangers_ = descendants();

  // Go when the destructor has killed everything that may write there.
  std::optional<JobFolder> shared_memory_;
  std::optional<JobFolder> sessions_;
  SignalSource signals_;
  ChannelServer channel_;
  ProgressDisplay display_;
  OutputReader output_{[this](std::string_view line) { on_line(line); }};
  Outcome outcome_;

  Child job_;
  std::optional<int> job_status_;  // set: mpiexec has ended
  Child diagnosis_;
  LineReader diagnosis_reader_{kLongestFrame};
  bool asked_hosts_ = false;
  std::optional<double> started_after_;
  std::optional<double> ended_after_;
  Clock::time_point last_heard_ = begin_;
  Clock::duration paused_{};  // by Ctrl-Z, before the start
  std::optional<Clock::time_point> terminate_at_;
  std::optional<Clock::time_point> kill_at_;
};

void Supervisor::start_job() {
  // Orphans of the job come to us and not to init, so that none can get away.
  if (prctl(PR_SET_CHILD_SUBREAPER, 1) != 0) {
    throw base::system_error(base::Kind::kSystem, "", errno, "PR_SET_CHILD_SUBREAPER");
  }
  JobContext context;
  context.mpi = kMpi;
  context.mpiexec = ARGOSY_MPIEXEC;
  context.program = program_;
  context.words = words_;
  context.start_directory = options_.start_directory;
  context.channel = channel_.place();
  context.environment = own_environment();
  context.as_root = geteuid() == 0;
  if (kMpi == "openmpi" && plan_.on_this_machine) {  // on other hosts the folders wouldn't be there
    context.shared_memory_folder = shared_memory_.emplace("/dev/shm").path();
    std::error_code error;
    context.session_folder = sessions_.emplace(std::filesystem::temp_directory_path(error).string()).path();
  }
  JobCommand command = build_job_command(plan_, common_, context);
  if (common_.verbose) say(fmt::format("argosy: starting {}", fmt::join(command.arguments, " ")));
  Spawn what;
  what.arguments = std::move(command.arguments);
  what.environment = std::move(command.environment);
  // A session of its own: Ctrl-C comes to us, and we tell the ranks.
  what.own_session = true;
  // If we are killed, SIGTERM makes Open MPI's mpiexec end every rank, also a stopped one. Hydra's only passes it on;
  // but its proxies end their ranks as soon as they lose it.
  what.signal_on_parent_death = kMpi == "openmpi" ? SIGTERM : SIGKILL;
  job_ = spawn(what);
}

void Supervisor::turn() {
  std::vector<pollfd> fds = {{signals_.fd(), POLLIN, 0}};
  if (job_.output.valid()) fds.push_back({job_.output.get(), POLLIN, 0});
  if (diagnosing()) fds.push_back({diagnosis_.output.get(), POLLIN, 0});
  channel_.add_to_poll(fds);
  if (ahead_.waits()) fds.push_back({STDOUT_FILENO, POLLOUT, 0});
  if (poll(fds.data(), fds.size(), poll_timeout(next_deadline())) < 0 && errno != EINTR) {
    throw base::system_error(base::Kind::kSystem, "", errno, "poll");
  }
  for (const int signal_number : signals_.take()) on_signal(signal_number);
  if (job_.output.valid() && !output_.read(job_.output.get())) job_.output = base::Fd();
  if (diagnosing()) on_diagnosis();
  std::vector<nlohmann::json> frames;
  channel_.serve(frames);
  for (const nlohmann::json& frame : frames) on_frame(frame);
  ahead_.write();
  start_pumps();
  check_deadlines();
}

bool Supervisor::over() const {
  if (kill_at_ && Clock::now() >= *kill_at_) return true;
  return job_status_ && !diagnosing();
}

std::optional<Clock::time_point> Supervisor::silence_deadline() const {
  if (!started_after_ || common_.stall_timeout <= 0 || kill_at_) return std::nullopt;
  return last_heard_ + kSilenceSlack +
         std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(common_.stall_timeout));
}

Clock::time_point Supervisor::next_deadline() const {
  auto next = Clock::now() + seconds(60);
  const auto consider = [&](std::optional<Clock::time_point> one) { next = std::min(next, one.value_or(next)); };
  consider(terminate_at_);
  consider(kill_at_);
  consider(silence_deadline());
  if (!started_after_ && !kill_at_) consider(begin_ + paused_ + (asked_hosts_ ? kStartTime : kSlowStart));
  return next;
}

void Supervisor::check_deadlines() {
  const auto now = Clock::now();
  if (terminate_at_ && now >= *terminate_at_) {
    terminate_at_.reset();
    if (!job_status_ && kill(job_.pid, SIGTERM) != 0 && errno != ESRCH) kill_at_ = now;
  }
  if (kill_at_) return;
  const bool rank0_gone = channel_.lost() && !outcome_.has_result();
  if (rank0_gone) {
    terminate_at_ = now + kDeathTime - kTermTime;
    kill_at_ = now + kDeathTime;
  } else if (const auto silence = silence_deadline(); silence && now >= *silence) {
    if (outcome_.has_shown()) {
      outcome_.add_death(std::nullopt, {}, true);
    } else {
      outcome_.add_failure(fmt::format("rank 0 has not been heard of for {:.0f} s",
                                       std::chrono::duration<double>(now - last_heard_).count()));
    }
    end_job(milliseconds(0));
  } else if (!started_after_ && now >= begin_ + paused_ + kSlowStart && !asked_hosts_) {
    start_diagnosis();
  } else if (!started_after_ && now >= begin_ + paused_ + kStartTime) {
    outcome_.add_failure(fmt::format("the job has not started within {} s", kStartTime.count()));
    end_job(milliseconds(0));
  }
}

void Supervisor::on_signal(int signal_number) {
  if (signal_number == SIGCHLD) return reap();
  if (signal_number == SIGTSTP) return stop_for_a_while();
  if (outcome_.signal() != 0) {
    kill_at_ = Clock::now();
    return;
  }
  outcome_.set_signal(signal_number);
  display_.erase();
  complain(fmt::format("{}: ending the job", signal_number == SIGINT ? "interrupted" : "terminated"));
  // Before rank 0 is up there is nobody to tell, and nothing to clean up.
  channel_.send("interrupt");
  end_job(started_after_ ? kCleanUpTime : milliseconds(0));
}

void Supervisor::reap() {
  int status = 0;
  for (pid_t pid = waitpid(-1, &status, WNOHANG); pid > 0; pid = waitpid(-1, &status, WNOHANG)) {
    if (pid != job_.pid || job_status_) continue;
    job_status_ = status;
    on_job_end();
  }
}

void Supervisor::on_job_end() {
  // Its last words may still be in the pipe. (Not to its end: somebody else may hold that open.)
  if (job_.output.valid() && !output_.read(job_.output.get())) job_.output = base::Fd();
  if (started_after_ || outcome_.signal() != 0 || outcome_.has_failed()) return;
  if (!asked_hosts_) start_diagnosis();
  if (diagnosing()) kill_at_ = Clock::now() + kDiagnosisTime + kTermTime;
}

void Supervisor::on_frame(const nlohmann::json& frame) {
  last_heard_ = Clock::now();
  const std::string type = frame.value("type", "");
  if (type == "started") {
    started_after_ = seconds_since_begin();
  } else if (type == "progress") {
    display_.update({frame.value("phase", ""), frame.value("bytes", std::int64_t{0}),
                     frame.value("bytes_total", std::int64_t{-1}), frame.value("files", std::int64_t{0}),
                     frame.value("files_total", std::int64_t{-1})});
  } else if (type == "output") {
    display_.erase();
    ahead_.add(text_as_bytes(frame.value("text", "")));
  } else if (type == "result") {
    outcome_.set_result(command::report_from_json(frame.at("report")));
    ended_after_ = seconds_since_begin();
    channel_.send("received");
    kill_at_ = std::min(kill_at_.value_or(Clock::time_point::max()), Clock::now() + kEndTime);
  } else if (type == "fatal") {
    const int exit = frame.value("exit", static_cast<int>(base::Kind::kSystem));
    base::Failure failure;
    // A kind's value is its exit code.
    failure.kind = exit == static_cast<int>(base::Kind::kIntegrity) ? base::Kind::kIntegrity : base::Kind::kSystem;
    failure.message = frame.value("message", "");
    const std::string line = base::printable(failure.message);
    outcome_.add_failure(exit, std::move(failure), line);
    channel_.send("received");
    end_job(milliseconds(0));
  }
}

void Supervisor::on_line(std::string_view line) {
  const bool ours = line.starts_with("argosy: ");
  if (ours) outcome_.note_shown(line);
  if (ours || common_.verbose) say(line);
}

// Runs diagnose() in a process of its own, as it blocks; a line of JSON for each host with a problem.
void Supervisor::start_diagnosis() {
  asked_hosts_ = true;
  std::vector<std::string> hosts = plan_.used_hosts();
  std::erase_if(hosts, is_this_machine);
  const auto agent = remote_shell(kMpi, common_, own_environment());
  if (hosts.empty() || agent.empty()) return;
  diagnosis_ = fork_child([&](int fd) {
    std::string text;
    for (const HostProblem& one : diagnose(hosts, agent, program_, kDiagnosisTime)) {
      const nlohmann::json line = {{"host", one.host}, {"message", one.message}};
      text += line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
    }
    return write_all(fd, text) ? EXIT_SUCCESS : EXIT_FAILURE;
  });
}

void Supervisor::on_diagnosis() {
  std::vector<std::string> lines;
  const auto state = diagnosis_reader_.read(diagnosis_.output.get(), lines);
  if (state != LineReader::State::kOpen) diagnosis_.output = base::Fd();
  if (started_after_ || outcome_.signal() != 0) return;
  for (const std::string& text : lines) {
    const auto one = nlohmann::json::parse(text);
    base::Failure failure;
    failure.kind = base::Kind::kSystem;
    failure.host = one.at("host");
    failure.message = one.at("message");
    std::string line = fmt::format("host {}: {}", failure.host, failure.message);
    outcome_.add_failure(static_cast<int>(base::Kind::kSystem), std::move(failure), std::move(line));
  }
  if (!lines.empty() && !job_status_) end_job(milliseconds(0));
}

void Supervisor::start_pumps() {
  const base::Fd socket = channel_.take_standard_input();
  // Its end is told by the connection: nobody waits for the process.
  if (socket.valid()) fork_child([&](int /*fd*/) { return pump_standard_input(STDIN_FILENO, socket.get()); });
  // Rank 0 waits until all of its output is there before it tells the result.
  const base::Fd output = channel_.take_standard_output();
  if (output.valid()) fork_child([&](int /*fd*/) { return pump_standard_output(output.get(), STDOUT_FILENO); });
}

// Ctrl-Z. A job on this machine stops with us. One on several hosts goes on: its other half would take the stopped one
// for dead. What has run out meanwhile gets its time again.
void Supervisor::stop_for_a_while() {
  display_.erase();
  const auto since = Clock::now();
  if (plan_.on_this_machine) signal_descendants(SIGSTOP, program_, strangers_);
  stop_here();
  if (plan_.on_this_machine) signal_descendants(SIGCONT, program_, strangers_);
  const auto pause = Clock::now() - since;
  paused_ += pause;
  last_heard_ += pause;
  if (terminate_at_) *terminate_at_ += pause;
  if (kill_at_) *kill_at_ += pause;
}

void Supervisor::end_job(milliseconds until_terminated) {
  terminate_at_ = Clock::now() + until_terminated;
  kill_at_ = *terminate_at_ + kTermTime;
}

void Supervisor::say(std::string_view line) {
  display_.erase();
  // A reader that doesn't read costs a line, not the job.
  if (can_write(STDERR_FILENO)) static_cast<void>(write_all(STDERR_FILENO, fmt::format("{}\n", line)));
}

void Supervisor::finish() {
  display_.erase();
  kill_descendants(strangers_);
  if (job_.output.valid()) static_cast<void>(output_.read(job_.output.get()));
  output_.finish();
  if (!outcome_.has_result() && !outcome_.has_failed() && outcome_.signal() == 0) {
    outcome_.add_death(job_status_, output_.kept(), common_.verbose);
  }
}

}  // namespace

int supervise(const command::Options& options, const std::vector<std::string>& words) {
  command::Report report;
  Rendered rendered;
  Ahead ahead(STDOUT_FILENO);
  const auto fail = [&](const base::Failure& failure) {
    report = failed_report(std::string(command_name(options)), static_cast<int>(failure.kind), failure);
    rendered = render(report, options.common);
  };
  try {
    Supervisor supervisor(options, words, plan_job(options), ahead);
    supervisor.run();
    report = supervisor.report();
    rendered = supervisor.rendered(report);
  } catch (const base::Error& error) {
    fail(error.failure());
  } catch (const nlohmann::json::exception& error) {
    // A frame without sense, from one that knew the token.
    fail({base::Kind::kSystem, "", 0, "", 0, fmt::format("rank 0 is no argosy of this version: {}", error.what())});
  }
  // Only now, as signals act again: a reader that doesn't read can be left by Ctrl-C.
  if (ahead.any() && options.common.json) continue_document(rendered);
  rendered.out.insert(0, ahead.rest());
  print(rendered);
  return report.exit;
}

}  // namespace argosy::cli
