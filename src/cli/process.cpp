#include "cli/process.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string_view>

#include "base/error.h"

namespace argosy::cli {

namespace {

using Pipe = std::pair<base::Fd, base::Fd>;  // read end, write end

Pipe make_pipe(int flags) {
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC | flags) != 0) throw base::system_error(base::Kind::kSystem, "", errno, "pipe");
  return {base::Fd(ends[0]), base::Fd(ends[1])};
}

void set_nonblocking(const base::Fd& fd) {
  const int flags = fcntl(fd.get(), F_GETFL);
  if (flags < 0 || fcntl(fd.get(), F_SETFL, flags | O_NONBLOCK) != 0) {
    throw base::system_error(base::Kind::kSystem, "", errno, "fcntl");
  }
}

std::vector<char*> pointers(const std::vector<std::string>& strings) {
  std::vector<char*> list;
  list.reserve(strings.size() + 1);
  for (const std::string& one : strings) list.push_back(const_cast<char*>(one.c_str()));
  list.push_back(nullptr);
  return list;
}

// In the child: as a shell would have started it.
void reset_signals() {
  sigset_t none;
  sigemptyset(&none);
  static_cast<void>(sigprocmask(SIG_SETMASK, &none, nullptr));
  static_cast<void>(std::signal(SIGPIPE, SIG_DFL));
}

// In the child; false when the parent has died before we could ask to be told of it.
bool follow_parent(int signal_number, pid_t parent) {
  if (signal_number != 0 && prctl(PR_SET_PDEATHSIG, signal_number) != 0) return false;
  return getppid() == parent;
}

// In the child, after fork(2): only async-signal-safe calls from here to execve(2). Returns the errno of what failed.
int become(const Spawn& what, char* const* argv, char* const* envp, pid_t parent, int output) {
  if (!follow_parent(what.signal_on_parent_death, parent)) return ESRCH;
  reset_signals();
  if (what.own_session && setsid() < 0) return errno;
  const int null = open("/dev/null", O_RDONLY);
  if (null < 0 || dup2(null, STDIN_FILENO) < 0) return errno;
  if (dup2(output, STDOUT_FILENO) < 0 || dup2(output, STDERR_FILENO) < 0) return errno;
  if (null > STDERR_FILENO) static_cast<void>(close(null));
  execvpe(argv[0], argv, envp);
  return errno;
}

// Parent and start time from /proc/PID/stat.
struct Stat {
  pid_t parent = 0;
  unsigned long long started = 0;
  char state = 0;
};

std::optional<Stat> read_stat(const char* pid) {
  const std::string path = std::string("/proc/") + pid + "/stat";
  const base::Fd file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.valid()) return std::nullopt;  // it has just ended
  std::array<char, 1024> text{};
  const ssize_t count = read(file.get(), text.data(), text.size());
  if (count <= 0) return std::nullopt;
  const std::string_view line(text.data(), static_cast<std::size_t>(count));
  // The name in the second field may hold anything, spaces and brackets included; what follows it doesn't.
  const std::size_t name_end = line.rfind(')');
  if (name_end == std::string_view::npos || name_end + 2 >= line.size()) return std::nullopt;
  Stat stat;
  std::string_view rest = line.substr(name_end + 2);
  constexpr int kStateField = 3;
  constexpr int kParentField = 4;
  constexpr int kStartField = 22;
  for (int field = kStateField; field <= kStartField; ++field) {
    const std::size_t end = std::min(rest.find(' '), rest.size());
    const std::string_view value = rest.substr(0, end);
    if (field == kStateField && !value.empty()) stat.state = value[0];
    if (field == kParentField) std::from_chars(value.data(), value.data() + value.size(), stat.parent);
    if (field == kStartField) std::from_chars(value.data(), value.data() + value.size(), stat.started);
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return stat;
}

void reap() {
  while (waitpid(-1, nullptr, WNOHANG) > 0) continue;
}

}  // namespace

Child spawn(const Spawn& what) {
  auto [output_read, output_write] = make_pipe(0);
  auto [error_read, error_write] = make_pipe(0);
  set_nonblocking(output_read);
  const std::vector<char*> argv = pointers(what.arguments);
  const std::vector<char*> own_environment = pointers(what.environment);
  char* const* envp = what.environment.empty() ? environ : own_environment.data();
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid < 0) throw base::system_error(base::Kind::kSystem, "", errno, "fork");
  if (pid == 0) {
    const int failed = become(what, argv.data(), envp, parent, output_write.get());
    const ssize_t told = write(error_write.get(), &failed, sizeof failed);
    _exit(told == static_cast<ssize_t>(sizeof failed) ? 127 : 126);
  }
  error_write = base::Fd();
  // The pipe closes by itself when exec succeeds.
  int failed = 0;
  ssize_t count = 0;
  do {
    count = read(error_read.get(), &failed, sizeof failed);
  } while (count < 0 && errno == EINTR);
  if (count == static_cast<ssize_t>(sizeof failed)) {
    while (waitpid(pid, nullptr, 0) < 0 && errno == EINTR) continue;
    throw base::system_error(base::Kind::kSystem, "", failed, what.arguments[0]);
  }
  return {pid, std::move(output_read)};
}

Child fork_child(const std::function<int(int fd)>& work) {
  auto [output_read, output_write] = make_pipe(0);
  set_nonblocking(output_read);
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid < 0) throw base::system_error(base::Kind::kSystem, "", errno, "fork");
  if (pid == 0) {
    int code = EXIT_FAILURE;
    try {
      if (follow_parent(SIGKILL, parent)) code = work(output_write.get());
    } catch (...) {
      code = EXIT_FAILURE;
    }
    _exit(code);
  }
  return {pid, std::move(output_read)};
}

void hold_standard_descriptors() {
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (fcntl(fd, F_GETFD) >= 0 || errno != EBADF) continue;
    // open(2) takes the lowest free number, which is this one. Without /dev/null it stays as it was.
    static_cast<void>(open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY));
  }
}

std::set<ProcessId> descendants() {
  // The usual case, for a hundredth of the price: no child, so no descendant.
  siginfo_t info{};
  if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0 && errno == ECHILD) return {};
  const std::unique_ptr<DIR, int (*)(DIR*)> folder(opendir("/proc"), closedir);
  if (folder == nullptr) return {};
  std::map<pid_t, Stat> all;
  while (const dirent* entry = readdir(folder.get())) {
    const std::string_view name = entry->d_name;
    pid_t pid = 0;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), pid);
    if (error != std::errc() || end != name.data() + name.size()) continue;
    if (const auto stat = read_stat(entry->d_name)) all.emplace(pid, *stat);
  }
  const pid_t self = getpid();
  std::set<ProcessId> found;
  for (const auto& [pid, stat] : all) {
    // Up the tree; bounded, as the tree changes while we read it and may seem to have a loop.
    pid_t ancestor = stat.parent;
    for (std::size_t steps = 0; ancestor > 1 && ancestor != self && steps < all.size(); ++steps) {
      const auto next = all.find(ancestor);
      ancestor = next == all.end() ? 0 : next->second.parent;
    }
    // The dead that wait for their parent are no longer anybody's trouble.
    if (ancestor == self && pid != self && stat.state != 'Z') found.emplace(pid, stat.started);
  }
  return found;
}

void signal_descendants(int signal_number, const std::string& program, const std::set<ProcessId>& but) {
  for (const ProcessId& one : descendants()) {
    std::error_code error;
    const auto runs = std::filesystem::read_symlink("/proc/" + std::to_string(one.first) + "/exe", error);
    if (error || runs != program || but.contains(one)) continue;
    static_cast<void>(kill(one.first, signal_number));  // ESRCH: it has just ended
  }
}

void kill_descendants(const std::set<ProcessId>& but) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(1);
  // More than once: a process may fork while we look.
  for (bool any = true; any && std::chrono::steady_clock::now() < deadline;) {
    any = false;
    for (const ProcessId& one : descendants()) {
      // ESRCH: it has just ended; EPERM: a set-user-ID program, which ends with its pipes.
      if (!but.contains(one)) any = kill(one.first, SIGKILL) == 0 || any;
    }
    reap();
    constexpr int kPauseMilliseconds = 2;  // for the kernel to carry it out
    if (any) static_cast<void>(poll(nullptr, 0, kPauseMilliseconds));
  }
  reap();
}

}  // namespace argosy::cli
