// Processes that the supervisor starts and must not leave behind.
#pragma once

#include <sys/types.h>

#include <functional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/fd.h"

namespace argosy::cli {

// How a child begins. Signal masks and ignored signals of the parent are undone in it.
struct Spawn {
  std::vector<std::string> arguments;    // a full path, or a name to be found in PATH, first
  std::vector<std::string> environment;  // NAME=VALUE; empty: this process's own
  bool own_session = false;              // out of reach of the terminal's signals
  int signal_on_parent_death = 0;        // SIGTERM, SIGKILL
};

struct Child {
  pid_t pid = -1;
  base::Fd output;  // standard output and standard error, non-blocking
};

// Starts a program with standard input from /dev/null. Does not block beyond the exec; throws base::Error (kSystem)
// with errno where it can't be started.
Child spawn(const Spawn& what);

// Runs `work` in a forked copy of this process that ends with what it returns, and is killed with its parent. What
// `work` writes to its argument, the parent reads from the child's `output`. Only for a process without other threads.
Child fork_child(const std::function<int(int fd)>& work);

// A process as a pid can be taken over by another one: with the time at which it began.
using ProcessId = std::pair<pid_t, unsigned long long>;

// All children, their children, and so on, of this process; from /proc.
std::set<ProcessId> descendants();

// Takes the places of standard input, output and error where they are closed, with descriptors on which reading, or
// writing, fails: else the next socket would be taken for one of them. Call it first of all.
void hold_standard_descriptors();

// Sends `signal_number` to every descendant that isn't in `but` and runs `program`.
void signal_descendants(int signal_number, const std::string& program, const std::set<ProcessId>& but);

// SIGKILL to every descendant that isn't in `but`, again and again until none is left, at most for a second: processes
// stuck in the kernel are left to it. Reaps children. Needs PR_SET_CHILD_SUBREAPER, or orphans escape.
void kill_descendants(const std::set<ProcessId>& but);

}  // namespace argosy::cli
