#include "cli/signals.h"

#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

#include "base/error.h"

namespace argosy::cli {

namespace {

// From now on a signal ends the process with the code that it has for argosy, and not by the signal: the job has been
// ended already.
extern "C" void leave(int signal_number) { _exit(128 + signal_number); }

}  // namespace

SignalSource::SignalSource() {
  sigset_t ours;
  sigemptyset(&ours);
  for (const int one : {SIGINT, SIGTERM, SIGCHLD, SIGTSTP}) sigaddset(&ours, one);
  struct sigaction hang_up = {};
  const bool ignored = sigaction(SIGHUP, nullptr, &hang_up) == 0 && hang_up.sa_handler == SIG_IGN;
  if (!ignored) sigaddset(&ours, SIGHUP);
  fd_ = base::Fd(signalfd(-1, &ours, SFD_NONBLOCK | SFD_CLOEXEC));
  if (!fd_.valid()) throw base::system_error(base::Kind::kSystem, "", errno, "signalfd");
  if (sigprocmask(SIG_BLOCK, &ours, &before_) != 0) {
    throw base::system_error(base::Kind::kSystem, "", errno, "sigprocmask");
  }
}

SignalSource::~SignalSource() {
  struct sigaction action = {};
  action.sa_handler = leave;
  for (const int one : {SIGINT, SIGTERM}) static_cast<void>(sigaction(one, &action, nullptr));
  // Neither call fails but for what doesn't exist.
  static_cast<void>(sigprocmask(SIG_SETMASK, &before_, nullptr));
}

std::vector<int> SignalSource::take() {
  std::vector<int> signals;
  signalfd_siginfo info{};
  while (read(fd_.get(), &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
    signals.push_back(static_cast<int>(info.ssi_signo));
  }
  return signals;
}

void stop_here() {
  // SIGTSTP and not SIGSTOP: the kernel knows when there is no shell that could ever continue us. Blocked again at
  // once: it acts before sigprocmask(2) returns.
  sigset_t stop;
  sigset_t before;
  sigemptyset(&stop);
  sigaddset(&stop, SIGTSTP);
  static_cast<void>(kill(getpid(), SIGTSTP));
  static_cast<void>(sigprocmask(SIG_UNBLOCK, &stop, &before));
  static_cast<void>(sigprocmask(SIG_SETMASK, &before, nullptr));
}

}  // namespace argosy::cli
