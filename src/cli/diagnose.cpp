#include "cli/diagnose.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <csignal>

#include "base/error.h"
#include "cli/output.h"
#include "cli/process.h"
#include "cli/wire.h"

namespace argosy::cli {

namespace {

constexpr std::size_t kMostAtOnce = 64;
constexpr const char* kThere = "argosy-there";
constexpr const char* kMissing = "argosy-missing";

// One host being asked.
struct Question {
  std::size_t host = 0;
  Child child;
  OutputReader output{[](std::string_view /*line*/) {}};
};

// Says which it is in words: the exit codes of remote shells differ.
Spawn question(const std::string& host, const std::vector<std::string>& agent, const std::string& program) {
  Spawn what;
  what.arguments = agent;
  const std::string& name = agent[0];
  if (name == "ssh" || name.ends_with("/ssh")) {
    for (const char* word : {"-o", "BatchMode=yes", "-o", "ConnectTimeout=10"}) what.arguments.emplace_back(word);
  }
  what.arguments.push_back(host);
  what.arguments.push_back(fmt::format("test -x {} && echo {} || echo {}", shell_quote(program), kThere, kMissing));
  what.own_session = true;  // no terminal to ask for a password on
  what.signal_on_parent_death = SIGKILL;
  return what;
}

// The problem that the agent's output tells of; an empty message where there is none.
std::string read_answer(const std::string& output, const std::string& program) {
  if (output.find(kThere) != std::string::npos) return {};
  if (output.find(kMissing) != std::string::npos) return fmt::format("has no argosy at {}", base::printable(program));
  const auto words = last_words(output, 1);
  return fmt::format("cannot be reached: {}",
                     words.empty() ? "the remote shell ended without a word" : base::printable(words[0]));
}

void end(Question& one) {
  // Gone already, or killed: waits for no more than the kernel's tidying up.
  static_cast<void>(kill(one.child.pid, SIGKILL));
  while (waitpid(one.child.pid, nullptr, 0) < 0 && errno == EINTR) continue;
}

}  // namespace

std::string shell_quote(const std::string& word) {
  std::string quoted = "'";
  for (const char c : word) {
    if (c == '\'') {
      quoted += "'\\''";
    } else {
      quoted += c;
    }
  }
  return quoted + "'";
}

std::vector<HostProblem> diagnose(const std::vector<std::string>& hosts, const std::vector<std::string>& agent,
                                  const std::string& program, std::chrono::milliseconds timeout) {
  if (agent.empty()) return {};
  const auto deadline = Clock::now() + timeout;
  std::vector<std::string> messages(hosts.size());
  std::vector<Question> asked;
  std::size_t next = 0;
  while ((next < hosts.size() || !asked.empty()) && Clock::now() < deadline) {
    while (next < hosts.size() && asked.size() < kMostAtOnce) {
      try {
        asked.push_back({next, spawn(question(hosts[next], agent, program))});
      } catch (const base::Error& error) {
        messages[next] = fmt::format("cannot be reached: {}", error.what());
      }
      ++next;
    }
    std::vector<pollfd> waiting;
    waiting.reserve(asked.size());
    for (const Question& one : asked) waiting.push_back({one.child.output.get(), POLLIN, 0});
    if (poll(waiting.data(), waiting.size(), poll_timeout(deadline)) < 0 && errno != EINTR) break;
    std::erase_if(asked, [&](Question& one) {
      if (one.output.read(one.child.output.get())) return false;
      messages[one.host] = read_answer(one.output.kept(), program);
      end(one);
      return true;
    });
  }
  for (Question& one : asked) {
    messages[one.host] = "cannot be reached: no answer in time";
    end(one);
  }
  std::vector<HostProblem> problems;
  for (std::size_t host = 0; host < hosts.size(); ++host) {
    if (!messages[host].empty()) problems.push_back({hosts[host], messages[host]});
  }
  return problems;
}

}  // namespace argosy::cli
