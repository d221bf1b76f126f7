#include "cli/output.h"

#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstring>
#include <memory>

namespace argosy::cli {

namespace {

constexpr std::size_t kKeptBytes = 65536;
constexpr std::size_t kLongestLine = 8192;

std::string_view trim(std::string_view line) {
  constexpr std::string_view kBlank = " \t\r";
  const std::size_t first = line.find_first_not_of(kBlank);
  if (first == std::string_view::npos) return {};
  return line.substr(first, line.find_last_not_of(kBlank) - first + 1);
}

std::vector<std::string_view> split_lines(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    lines.push_back(trim(text.substr(0, end)));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

std::string signal_name(int signal_number) {
  const char* name = sigdescr_np(signal_number);
  return name == nullptr ? std::string() : fmt::format(" ({})", name);
}

// Walks through a text from one fixed phrase to the next. (Not std::regex: GCC's recurses for each character.)
class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text) {}

  // Goes behind the next `phrase`; false, and stays, where there is none.
  bool skip_to(std::string_view phrase) {
    const std::size_t at = text_.find(phrase);
    if (at == std::string_view::npos) return false;
    text_.remove_prefix(at + phrase.size());
    return true;
  }
  // The next word, without the blanks and line ends before it.
  std::string_view word() {
    constexpr std::string_view kBlank = " \t\r\n";
    text_.remove_prefix(std::min(text_.find_first_not_of(kBlank), text_.size()));
    const std::string_view word = text_.substr(0, text_.find_first_of(kBlank));
    text_.remove_prefix(word.size());
    return word;
  }
  // The digits at this place as a number, behind blanks; -1 where there are none.
  int number() {
    text_.remove_prefix(std::min(text_.find_first_not_of(" \t\r\n"), text_.size()));
    int value = -1;
    const auto [end, error] = std::from_chars(text_.data(), text_.data() + text_.size(), value);
    if (error != std::errc()) return -1;
    text_.remove_prefix(static_cast<std::size_t>(end - text_.data()));
    return value;
  }

 private:
  std::string_view text_;
};

std::string killed(std::string_view who, std::string_view host, int signal_number) {
  return fmt::format("{} on {} was killed by signal {}{}", who, host, signal_number, signal_name(signal_number));
}

// "mpiexec noticed that process rank 1 with PID 0 on node h2 exited on signal 9 (Killed)."
// "Process name: [[29146,1],1]  Exit code: 6"
std::string read_openmpi_banner(std::string_view output) {
  if (Scanner banner(output); banner.skip_to("noticed that process rank ")) {
    const int rank = banner.number();
    if (banner.skip_to(" on node ")) {
      const std::string_view host = banner.word();
      if (banner.skip_to("signal ")) return killed(fmt::format("rank {}", rank), host, banner.number());
    }
  }
  if (Scanner banner(output); banner.skip_to("Process name: [[") && banner.skip_to("],")) {
    const int rank = banner.number();
    if (banner.skip_to("Exit code: ")) return fmt::format("rank {} ended with code {}", rank, banner.number());
  }
  if (Scanner banner(output); banner.skip_to("ORTE has lost communication") && banner.skip_to("Remote daemon: ") &&
                              banner.skip_to(" on node ")) {
    return fmt::format("host {} was lost", banner.word());
  }
  return {};
}

// "PID 7457 RUNNING AT h2 / EXIT CODE: 9", and for a signal "EXIT STRING: Killed (signal 9)".
std::string read_hydra_banner(std::string_view output) {
  Scanner banner(output);
  if (!banner.skip_to(" RUNNING AT ")) return {};
  const std::string_view host = banner.word();
  if (banner.skip_to("EXIT STRING: ") && banner.skip_to("(signal ")) {
    // hydra ORs the wait statuses of all ranks: numbers that no rank dies of come of that.
    constexpr std::array kDeadly = {SIGKILL, SIGSEGV, SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGTERM};
    const int signal_number = banner.number();
    if (std::find(kDeadly.begin(), kDeadly.end(), signal_number) != kDeadly.end()) {
      return killed("a rank", host, signal_number);
    }
  }
  return fmt::format("a rank on {} ended too early", host);
}

// Frames that the launchers draw around what they say, what they say at every death, and what read_banner reads.
bool is_decoration(std::string_view line) {
  if (line.find_first_not_of("-=*") == std::string_view::npos || line.starts_with("argosy: ")) return true;
  constexpr std::array<std::string_view, 15> kSaid = {"=   ",
                                                      "Primary job  terminated normally",
                                                      "a non-zero exit code. Per user-direction",
                                                      " noticed that process rank ",
                                                      " detected that one or more processes exited ",
                                                      "the job to be terminated. The first process",
                                                      "Process name: [[",
                                                      "Exit code: ",
                                                      "YOUR APPLICATION TERMINATED WITH THE EXIT STRING",
                                                      "This typically refers to a problem with your application",
                                                      "Please see the FAQ page",
                                                      "(pm/pmiserv/",
                                                      "(tools/bootstrap/",
                                                      "(tools/demux/",
                                                      "(ui/mpich/"};
  return std::any_of(kSaid.begin(), kSaid.end(),
                     [&](std::string_view part) { return line.find(part) != std::string_view::npos; });
}

}  // namespace

bool OutputReader::read(int fd) {
  constexpr std::size_t kPartBytes = 65536;
  const auto part = std::make_unique<char[]>(kPartBytes);
  // Bounded, so that a job that prints without end can't keep the supervisor from its other work.
  for (std::size_t parts = 0; parts < 16; ++parts) {
    const ssize_t count = ::read(fd, part.get(), kPartBytes);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return errno == EAGAIN || errno == EWOULDBLOCK;
    if (count == 0) return false;
    take(std::string_view(part.get(), static_cast<std::size_t>(count)));
  }
  return true;
}

void OutputReader::take(std::string_view text) {
  kept_.append(text);
  if (kept_.size() > 2 * kKeptBytes) kept_.erase(0, kept_.size() - kKeptBytes);
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    const std::size_t take = std::min({end, text.size(), kLongestLine - line_.size()});
    line_.append(text.substr(0, take));
    text.remove_prefix(take);
    const bool whole = !text.empty() && text[0] == '\n';
    if (whole) text.remove_prefix(1);
    if (whole || line_.size() >= kLongestLine) {
      on_line_(line_);
      line_.clear();
    }
  }
}

void OutputReader::finish() {
  if (line_.empty()) return;
  on_line_(line_);
  line_.clear();
}

std::string read_banner(std::string_view output) {
  std::string clause = read_openmpi_banner(output);
  return clause.empty() ? read_hydra_banner(output) : clause;
}

std::string describe_end(int wait_status) {
  if (WIFSIGNALED(wait_status)) {
    const int signal_number = WTERMSIG(wait_status);
    return fmt::format("mpiexec was killed by signal {}{}", signal_number, signal_name(signal_number));
  }
  return fmt::format("mpiexec ended with code {}", WEXITSTATUS(wait_status));
}

std::vector<std::string> last_words(std::string_view output, std::size_t most) {
  std::vector<std::string> words;
  for (const std::string_view line : split_lines(output)) {
    if (!is_decoration(line)) words.emplace_back(line);
  }
  if (words.size() > most) words.erase(words.begin(), words.end() - static_cast<std::ptrdiff_t>(most));
  return words;
}

}  // namespace argosy::cli
