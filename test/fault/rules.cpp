#include "rules.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <map>
#include <string_view>

namespace fault {
namespace {

struct Rule {
  Op op = Op::kRead;
  std::string path;     // a substring
  std::string skip;     // of which paths not
  std::size_t min = 0;  // bytes asked for
  int tag = -1;         // kSend: tags from this; -1: any
  int last_tag = -1;    // to this
  std::uint64_t nth = 1;
  std::uint64_t times = 1;
  // effects
  std::string log;
  std::string mark;
  std::string wait;
  std::string target;    // the file that is changed; empty: the one of the call
  std::size_t dump = 0;  // bytes of a message that the log shows
  std::optional<off_t> truncate;
  std::optional<off_t> grow;
  bool touch = false;
  std::optional<mode_t> chmod;
  int signal = 0;
  // verdict
  int error = 0;
  std::optional<std::size_t> limit;
  std::optional<std::int64_t> flip;
  std::string was, becomes;
  std::optional<std::uint64_t> space;

  std::atomic<std::uint64_t> met = 0;
};

constexpr std::array<std::pair<std::string_view, Op>, 12> kOps = {{{"open", Op::kOpen},
                                                                   {"read", Op::kRead},
                                                                   {"write", Op::kWrite},
                                                                   {"sync", Op::kSync},
                                                                   {"close", Op::kClose},
                                                                   {"rename", Op::kRename},
                                                                   {"chmod", Op::kChmod},
                                                                   {"utime", Op::kUtime},
                                                                   {"alloc", Op::kAlloc},
                                                                   {"space", Op::kSpace},
                                                                   {"unlink", Op::kUnlink},
                                                                   {"send", Op::kSend}}};

std::string_view name_of(Op op) {
  for (const auto& [name, value] : kOps) {
    if (value == op) return name;
  }
  return "?";
}

// A rule that is not understood must not pass for one that never fires.
[[noreturn]] void refuse(std::string_view what) {
  const std::string text = "libfault: ARGOSY_FAULT: not understood: " + std::string(what) + "\n";
  syscall(SYS_write, STDERR_FILENO, text.data(), text.size());
  _exit(99);
}

std::int64_t number(std::string_view text, int base = 0) {
  const std::string copy(text);
  char* end = nullptr;
  errno = 0;
  const long long value = std::strtoll(copy.c_str(), &end, base);
  if (copy.empty() || *end != '\0' || errno != 0) refuse(text);
  return value;
}

std::string bytes_in(std::string_view hex) {
  std::string bytes;
  if (hex.empty() || hex.size() % 2 != 0) refuse(hex);
  for (std::size_t at = 0; at < hex.size(); at += 2) bytes += static_cast<char>(number(hex.substr(at, 2), 16));
  return bytes;
}

int error_number(std::string_view text) {
  for (int error = 1; error < 200; ++error) {
    const char* name = strerrorname_np(error);
    if (name != nullptr && text == name) return error;
  }
  refuse(text);
}

int signal_number(std::string_view text) {
  for (int signal = 1; signal < 32; ++signal) {
    const char* name = sigabbrev_np(signal);
    if (name != nullptr && text == std::string("SIG") + name) return signal;
  }
  refuse(text);
}

// The rank that the launcher gave this process, or -1: then it is no rank (mpiexec, a daemon, a shell), and no rule
// holds.
int own_rank() {
  for (const char* name : {"OMPI_COMM_WORLD_RANK", "PMI_RANK", "PMIX_RANK"}) {
    const char* value = std::getenv(name);
    if (value != nullptr && *value != '\0') return std::atoi(value);
  }
  return -1;
}

void set(Rule& rule, bool& op_given, bool& other_rank, std::string_view key, std::string_view value) {
  if (key == "op") {
    const auto* at = std::find_if(kOps.begin(), kOps.end(), [&](const auto& op) { return op.first == value; });
    if (at == kOps.end()) refuse(value);
    rule.op = at->second;
    op_given = true;
  } else if (key == "rank") {
    other_rank = value != "*" && number(value) != own_rank();
  } else if (key == "path") {
    rule.path = value;
  } else if (key == "skip") {
    rule.skip = value;
  } else if (key == "min") {
    rule.min = static_cast<std::size_t>(number(value));
  } else if (key == "tag") {
    const std::size_t dash = value.find('-');
    rule.tag = static_cast<int>(number(value.substr(0, dash)));
    rule.last_tag = dash == std::string_view::npos ? rule.tag : static_cast<int>(number(value.substr(dash + 1)));
  } else if (key == "nth") {
    rule.nth = static_cast<std::uint64_t>(number(value));
  } else if (key == "times") {
    rule.times = value == "all" ? UINT64_MAX : static_cast<std::uint64_t>(number(value));
  } else if (key == "log") {
    rule.log = value;
  } else if (key == "dump") {
    rule.dump = static_cast<std::size_t>(number(value));
  } else if (key == "mark") {
    rule.mark = value;
  } else if (key == "wait") {
    rule.wait = value;
  } else if (key == "target") {
    rule.target = value;
  } else if (key == "truncate") {
    rule.truncate = number(value);
  } else if (key == "grow") {
    rule.grow = number(value);
  } else if (key == "touch") {
    rule.touch = number(value) != 0;
  } else if (key == "chmod") {
    rule.chmod = static_cast<mode_t>(number(value, 8));
  } else if (key == "signal") {
    rule.signal = signal_number(value);
  } else if (key == "fail") {
    rule.error = error_number(value);
  } else if (key == "short") {
    rule.limit = static_cast<std::size_t>(number(value));
  } else if (key == "flip") {
    rule.flip = number(value);
  } else if (key == "forge") {
    const std::size_t colon = value.find(':');
    if (colon == std::string_view::npos) refuse(value);
    rule.was = bytes_in(value.substr(0, colon));
    rule.becomes = bytes_in(value.substr(colon + 1));
    if (rule.was.size() != rule.becomes.size()) refuse(value);
  } else if (key == "space") {
    rule.space = static_cast<std::uint64_t>(number(value));
  } else {
    refuse(key);
  }
}

struct Rules {
  std::deque<Rule> rules;
  unsigned concerned = 0;  // one bit an Op

  Rules() {
    const char* text = std::getenv("ARGOSY_FAULT");
    if (text == nullptr || own_rank() < 0) return;
    std::string_view rest = text;
    while (!rest.empty()) {
      std::string_view one = rest.substr(0, rest.find(';'));
      rest.remove_prefix(std::min(rest.size(), one.size() + 1));
      if (one.empty()) continue;
      Rule& rule = rules.emplace_back();
      bool op_given = false;
      bool other_rank = false;
      while (!one.empty()) {
        const std::string_view setting = one.substr(0, one.find(','));
        one.remove_prefix(std::min(one.size(), setting.size() + 1));
        const std::size_t equals = setting.find('=');
        if (equals == std::string_view::npos) refuse(setting);
        set(rule, op_given, other_rank, setting.substr(0, equals), setting.substr(equals + 1));
      }
      if (!op_given) refuse("a rule without op=");
      if (other_rank) {
        rules.pop_back();
      } else {
        concerned |= 1U << static_cast<unsigned>(rule.op);
      }
    }
  }
};

// Never destroyed: threads may still be reading and writing while the process ends.
Rules& rules() {
  static Rules* const all = new Rules;
  return *all;
}

void create(const std::string& path, std::string_view text, int flags) {
  const long fd = syscall(SYS_openat, AT_FDCWD, path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | flags, 0644);
  if (fd < 0) return;
  syscall(SYS_write, fd, text.data(), text.size());
  syscall(SYS_close, fd);
}

void take_effect(const Rule& rule, const std::string& path, std::size_t size, int tag, int peer, const void* data) {
  if (!rule.log.empty()) {
    std::string line = std::to_string(own_rank()) + " " + std::string(name_of(rule.op)) + " " + std::to_string(size);
    if (rule.op == Op::kSend) {
      line += " " + std::to_string(tag) + " " + std::to_string(peer);
      const auto* bytes = static_cast<const unsigned char*>(data);
      std::array<char, 3> hex = {};
      line += " ";
      for (std::size_t i = 0; i < std::min(size, rule.dump); ++i) {
        std::snprintf(hex.data(), hex.size(), "%02x", bytes[i]);
        line += hex.data();
      }
    } else {
      line += " " + path;
    }
    create(rule.log, line + "\n", O_APPEND);
  }
  if (!rule.mark.empty()) create(rule.mark, std::to_string(getpid()) + "\n", O_TRUNC);
  if (!rule.wait.empty()) {
    const timespec pause = {0, 1000000};
    while (syscall(SYS_faccessat, AT_FDCWD, rule.wait.c_str(), F_OK) != 0) {
      syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, &pause, nullptr);
    }
  }
  const std::string& target = rule.target.empty() ? path : rule.target;
  if (rule.truncate) syscall(SYS_truncate, target.c_str(), *rule.truncate);
  if (rule.grow) create(target, std::string(static_cast<std::size_t>(*rule.grow), '+'), O_APPEND);
  if (rule.touch) syscall(SYS_utimensat, AT_FDCWD, target.c_str(), nullptr, 0);
  if (rule.chmod) syscall(SYS_fchmodat, AT_FDCWD, target.c_str(), *rule.chmod);
  if (rule.signal != 0) syscall(SYS_kill, getpid(), rule.signal);
}

}  // namespace

bool concerned(Op op) { return (rules().concerned & (1U << static_cast<unsigned>(op))) != 0; }

std::string path_of(int fd) {
  const std::string link = "/proc/self/fd/" + std::to_string(fd);
  std::array<char, PATH_MAX> target = {};
  const long length = syscall(SYS_readlinkat, AT_FDCWD, link.c_str(), target.data(), target.size());
  return length < 0 ? std::string() : std::string(target.data(), static_cast<std::size_t>(length));
}

std::string path_at(int folder, const char* name) {
  if (name == nullptr) return path_of(folder);
  if (*name == '/') return name;
  if (folder != AT_FDCWD) return path_of(folder) + "/" + name;
  std::array<char, PATH_MAX> here = {};
  const long length = syscall(SYS_getcwd, here.data(), here.size());
  return length < 0 ? std::string(name) : std::string(here.data()) + "/" + name;
}

Verdict consult(Op op, const std::string& path, std::size_t size, int tag, int peer, const void* data) {
  Verdict verdict;
  for (Rule& rule : rules().rules) {
    if (rule.op != op || size < rule.min) continue;
    if (!rule.path.empty() && path.find(rule.path) == std::string::npos) continue;
    if (!rule.skip.empty() && path.find(rule.skip) != std::string::npos) continue;
    if (rule.tag >= 0 && (tag < rule.tag || tag > rule.last_tag)) continue;
    const std::uint64_t count = ++rule.met;
    if (count < rule.nth || count - rule.nth >= rule.times) continue;
    take_effect(rule, path, size, tag, peer, data);
    if (rule.error != 0) verdict.error = rule.error;
    if (rule.limit) verdict.limit = std::min(verdict.limit, *rule.limit);
    if (rule.flip) verdict.flip = rule.flip;
    if (!rule.was.empty()) {
      verdict.was = rule.was;
      verdict.becomes = rule.becomes;
    }
    if (rule.space) verdict.space = rule.space;
  }
  return verdict;
}

}  // namespace fault
