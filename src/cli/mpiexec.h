// The job's command line and environment for either MPI's mpiexec. Pure: it starts nothing, and the environment it
// reads is the caller's. Every flag and variable has its reason in mpiexec.cpp.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cli/hosts.h"
#include "command/options.h"

namespace argosy::cli {

// Where the ranks go.
struct JobPlan {
  int ranks = 0;
  std::vector<Host> hosts;         // empty: this machine, without asking anybody
  std::vector<std::size_t> dealt;  // rank -> index into hosts
  bool on_this_machine = true;     // every rank is
  // The hosts that have a rank, in order of their first one.
  std::vector<std::string> used_hosts() const;
};

// Settles ranks and hosts from -n, --hosts, --hostfile (which it reads) and the command's default, and checks that the
// command can work with so many ranks. Throws base::Error (kUsage).
JobPlan plan_job(const command::Options& options);

// Splits as a shell splits words: blanks, '...', "...", \. Throws base::Error (kUsage) on an unclosed quote.
std::vector<std::string> split_shell_words(std::string_view text);

struct JobCommand {
  std::vector<std::string> arguments;    // the launcher's full path first
  std::vector<std::string> environment;  // NAME=VALUE, all of it
};

// What build_job_command needs besides the plan.
struct JobContext {
  std::string_view mpi;            // "openmpi" or "mpich"
  std::string mpiexec;             // full path
  std::string program;             // argosy's own full path
  std::vector<std::string> words;  // the user's command line, which the ranks read from the environment
  std::string start_directory;
  std::string channel;                   // the value of ARGOSY_CHANNEL
  std::vector<std::string> environment;  // of this process, NAME=VALUE
  bool as_root = false;
  // For Open MPI's shared memory and its sessions, on this machine; empty: where it puts them by itself.
  std::string shared_memory_folder;
  std::string session_folder;
};

// Throws base::Error (kUsage) where `words` are too long for an environment.
JobCommand build_job_command(const JobPlan& plan, const command::CommonOptions& options, const JobContext& context);

// The command that this job's launcher reaches other hosts with, as words: the user's from --launcher-args or the
// environment, or ssh; empty where a batch system's own starter does it, of which nothing can be asked.
std::vector<std::string> remote_shell(std::string_view mpi, const command::CommonOptions& options,
                                      const std::vector<std::string>& environment);

}  // namespace argosy::cli
