// Why a job didn't start: asks every host, the way its launcher would, whether it can be reached and has this program.
#pragma once

#include <chrono>
#include <string>
#include <vector>

namespace argosy::cli {

struct HostProblem {
  std::string host;
  std::string message;  // "cannot be reached: ssh: connect to host h9 port 22: No route to host"
  bool operator==(const HostProblem&) const = default;
};

// Runs `AGENT HOST test -x PROGRAM` for all hosts, several at once, and returns the hosts with a problem in the order
// of `hosts`. `agent` are the words of a remote shell; ssh gets options that keep it from asking questions. Blocks for
// at most `timeout`; a host that hasn't answered by then has a problem.
std::vector<HostProblem> diagnose(const std::vector<std::string>& hosts, const std::vector<std::string>& agent,
                                  const std::string& program, std::chrono::milliseconds timeout);

// `word` for a remote shell, which splits what it is given: in single quotes.
std::string shell_quote(const std::string& word);

}  // namespace argosy::cli
