#include "cli/mpiexec.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <numeric>
#include <optional>
#include <thread>

#include "base/error.h"
#include "cli/launcher.h"
#include "http/url.h"

namespace argosy::cli {

namespace {

constexpr int kMostRanks = 65536;
// Linux bounds argv and environment together, at 2 MiB with the usual 8 MiB of stack.
constexpr std::size_t kMostWordBytes = 1'500'000;
constexpr std::size_t kShownBytes = 4096;
constexpr const char* kSystemPath = "/usr/local/bin:/usr/bin:/bin";

base::Error usage(std::string message) { return {base::Kind::kUsage, "", 0, std::move(message)}; }

int default_ranks(const command::CommandOptions& command, const std::vector<Host>& hosts) {
  const int fixed = std::visit([](const auto& one) { return one.kDefaultRanks; }, command);
  if (fixed > 0) return fixed;
  if (hosts.empty()) return static_cast<int>(std::clamp(std::thread::hardware_concurrency(), 2U, 4U));
  return std::accumulate(hosts.begin(), hosts.end(), 0, [](int sum, const Host& host) { return sum + host.places; });
}

template <typename AnyOptions>
void check_ranks(const AnyOptions& /*any*/, int /*ranks*/) {}

void check_ranks(const command::ScatterOptions& scatter, int ranks) {
  const int workers = ranks - (scatter.root_too ? 0 : 1);
  if (ranks < 2) throw usage(fmt::format("scatter: 2 ranks are needed, a root and a worker, not {}", ranks));
  if (scatter.parity >= workers) {
    throw usage(fmt::format("scatter: --parity {} needs {} workers or more, and there are {}: see -n", scatter.parity,
                            scatter.parity + 1, workers));
  }
}

void check_ranks(const command::GatherOptions& gather, int ranks) {
  if (gather.to < ranks) return;
  throw usage(
      fmt::format("gather: --to {} needs {} ranks or more, and there are {}: see -n", gather.to, gather.to + 1, ranks));
}

void check_ranks(const command::SendOptions& send, int ranks) {
  if (ranks < 2) throw usage(fmt::format("send: 2 ranks are needed, one to read and one to write, not {}", ranks));
  const int last = std::max(send.from, send.to);
  if (last >= ranks) {
    throw usage(fmt::format("send: --{} {} needs {} ranks or more, and there are {}: see -n",
                            last == send.from ? "from" : "to", last, last + 1, ranks));
  }
}

// NAME=VALUE strings, changed by name.
class Variables {
 public:
  explicit Variables(std::vector<std::string> all) : all_(std::move(all)) {}

  void remove_prefix(std::string_view prefix, std::string_view but = {}) {
    std::erase_if(all_, [&](const std::string& one) {
      return one.starts_with(prefix) && (but.empty() || !one.starts_with(but));
    });
  }
  void remove(std::string_view name) { remove_prefix(fmt::format("{}=", name)); }
  void set(std::string_view name, std::string_view value) {
    remove(name);
    all_.push_back(fmt::format("{}={}", name, value));
  }
  // What the user has set stays.
  void set_default(std::string_view name, std::string_view value) {
    if (!has(name)) all_.push_back(fmt::format("{}={}", name, value));
  }
  bool has(std::string_view name) const { return get(name).has_value(); }
  std::optional<std::string> get(std::string_view name) const {
    const std::string start = fmt::format("{}=", name);
    for (const std::string& one : all_) {
      if (one.starts_with(start)) return one.substr(start.size());
    }
    return std::nullopt;
  }
  const std::vector<std::string>& all() const { return all_; }

 private:
  std::vector<std::string> all_;
};

// What an outer job, a batch system or a user's defaults would tell mpiexec about ranks and hosts. We say it ourselves.
void clean(Variables& variables, bool on_this_machine) {
  for (const char* prefix : {"ARGOSY_WORDS_", "PMI_", "OMPI_COMM_WORLD_", "OMPI_MCA_ess", "HYDI_", "MPI_LOCAL"}) {
    variables.remove_prefix(prefix);
  }
  variables.remove_prefix("PMIX_", "PMIX_MCA_");  // PMIX_MCA_* are the user's settings
  variables.remove("HYDRA_HOST_FILE");
  variables.set("OMPI_MCA_orte_default_hostfile", "none");
  if (!on_this_machine) return;
  // Inside an allocation mpiexec takes hosts, and the way to them, from the batch system. With --hosts that is right,
  // as the hosts are of the allocation; without, the job is on this machine.
  for (const char* prefix : {"SLURM_", "PBS_", "LSB_", "COBALT_"}) variables.remove_prefix(prefix);
  for (const char* name : {"PE_HOSTFILE", "LOADL_HOSTFILE"}) variables.remove(name);
}

// MCA parameters go through the environment and not as --mca: there what the user set stays, and what --launcher-args
// says wins, while mpiexec refuses a parameter that its command line names twice.
void set_openmpi_defaults(Variables& variables, const JobPlan& plan, const JobContext& context) {
  if (context.as_root) {  // mpiexec refuses root without these; in a container there is nobody else
    variables.set_default("OMPI_ALLOW_RUN_AS_ROOT", "1");
    variables.set_default("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1");
  }
  // More ranks than cores are normal here: ranks wait for disks and cards, not for cores.
  variables.set_default("OMPI_MCA_rmaps_base_oversubscribe", "1");
  // Bound to a core each, two ranks' I/O threads would share one while others idle.
  variables.set_default("OMPI_MCA_hwloc_base_binding_policy", "none");
  // A waiting rank spins inside MPI; it must leave its core to the one that it waits for.
  variables.set_default("OMPI_MCA_mpi_yield_when_idle", "1");
  // Cross-memory attach fails in containers, noisily and for each message; without it Open MPI copies through shared
  // memory, no slower for chunks.
  variables.set_default("OMPI_MCA_btl_vader_single_copy_mechanism", "none");
  // Killed ranks leave their shared memory behind, and a killed mpiexec its session.
  if (!context.shared_memory_folder.empty()) {
    variables.set_default("OMPI_MCA_btl_vader_backing_directory", context.shared_memory_folder);
  }
  if (!context.session_folder.empty()) variables.set_default("OMPI_MCA_orte_tmpdir_base", context.session_folder);
  // One host for each rank, in the order of the list: by slots Open MPI puts a:1,b:1 with three ranks as a,a,b.
  if (!plan.hosts.empty()) variables.set_default("OMPI_MCA_rmaps_base_mapping_policy", "seq");
}

// "a,b,a": a host for each rank.
std::string openmpi_hosts(const JobPlan& plan) {
  std::string list;
  for (const std::size_t host : plan.dealt) list += (list.empty() ? "" : ",") + plan.hosts[host].name;
  return list;
}

// "a:2,b:1,a:1": hydra takes a host as often as it is listed.
std::string hydra_hosts(const JobPlan& plan) {
  std::string list;
  for (std::size_t rank = 0; rank < plan.dealt.size();) {
    std::size_t next = rank;
    while (next < plan.dealt.size() && plan.dealt[next] == plan.dealt[rank]) ++next;
    list += fmt::format("{}{}:{}", list.empty() ? "" : ",", plan.hosts[plan.dealt[rank]].name, next - rank);
    rank = next;
  }
  return list;
}

// What libcurl looks at on every rank.
constexpr std::array<std::string_view, 9> kPassedOn = {"http_proxy", "https_proxy",   "HTTPS_PROXY",
                                                       "all_proxy",  "ALL_PROXY",     "no_proxy",
                                                       "NO_PROXY",   "SSL_CERT_FILE", "SSL_CERT_DIR"};

void append_words_to_show(std::vector<std::string>& arguments, const std::vector<std::string>& words) {
  std::size_t shown = 0;
  for (const std::string& word : words) {
    shown += word.size();
    if (shown > kShownBytes) return;
    // A lone colon would end this program's arguments for mpiexec.
    if (word != ":") arguments.push_back(base::printable(http::without_credentials(word)));
  }
}

}  // namespace

std::vector<std::string> JobPlan::used_hosts() const {
  std::vector<std::string> used;
  for (const std::size_t host : dealt) {
    if (std::find(used.begin(), used.end(), hosts[host].name) == used.end()) used.push_back(hosts[host].name);
  }
  return used;
}

JobPlan plan_job(const command::Options& options) {
  const command::CommonOptions& common = options.common;
  JobPlan plan;
  if (!common.hosts.empty()) plan.hosts = parse_hosts(common.hosts);
  if (!common.hostfile.empty()) plan.hosts = read_hostfile(common.hostfile);
  plan.ranks = common.ranks;
  if (plan.ranks == 0) plan.ranks = default_ranks(options.command, plan.hosts);
  if (plan.ranks > kMostRanks) throw usage(fmt::format("-n: at most {} ranks", kMostRanks));
  std::visit([&](const auto& one) { check_ranks(one, plan.ranks); }, options.command);
  plan.dealt = deal_ranks(plan.hosts, plan.ranks);
  const auto used = plan.used_hosts();
  plan.on_this_machine = std::all_of(used.begin(), used.end(), is_this_machine);
  return plan;
}

std::vector<std::string> split_shell_words(std::string_view text) {
  std::vector<std::string> words;
  std::optional<std::string> word;
  char quote = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quote == 0 && (c == ' ' || c == '\t' || c == '\n')) {
      if (word) words.push_back(std::move(*word));
      word.reset();
      continue;
    }
    if (!word) word.emplace();
    const char next = i + 1 < text.size() ? text[i + 1] : '\0';
    // Within double quotes a backslash stands for itself but before one of these, as in sh.
    const bool escapes = quote == 0 || (quote == '"' && (next == '"' || next == '\\' || next == '$' || next == '`'));
    if (quote == 0 && (c == '\'' || c == '"')) {
      quote = c;
    } else if (c == quote) {
      quote = 0;
    } else if (c == '\\' && escapes && i + 1 < text.size()) {
      *word += text[++i];
    } else {
      *word += c;
    }
  }
  if (quote != 0) throw usage(fmt::format("--launcher-args: the quote {} is not closed", quote));
  if (word) words.push_back(std::move(*word));
  return words;
}

JobCommand build_job_command(const JobPlan& plan, const command::CommonOptions& options, const JobContext& context) {
  const bool openmpi = context.mpi == "openmpi";
  Variables variables(context.environment);
  clean(variables, plan.on_this_machine);
  if (openmpi) set_openmpi_defaults(variables, plan, context);
  // Open MPI's mpiexec does not start without a remote shell on its PATH, not even on one machine.
  const std::string path = variables.get("PATH").value_or("");
  variables.set("PATH", path.empty() ? kSystemPath : fmt::format("{}:{}", path, kSystemPath));
  variables.set(kChannelVariable, context.channel);
  variables.set(kStartDirectoryVariable, context.start_directory);
  std::size_t bytes = 0;
  for (const auto& [name, value] : words_environment(context.words)) {
    variables.set(name, value);
    bytes += value.size();
  }
  if (bytes > kMostWordBytes) throw usage("so many names are too long for one command line: see --files-from");

  JobCommand job;
  // No folder of ours need exist on another host: ranks start in "/" and resolve names from ARGOSY_START_DIRECTORY.
  job.arguments = {context.mpiexec, "-n", fmt::format("{}", plan.ranks), "-wdir", "/"};
  if (openmpi) {
    if (!plan.hosts.empty()) job.arguments.insert(job.arguments.end(), {"--host", openmpi_hosts(plan)});
    // By name only, as everybody reads a command line. (Ranks on this machine have the whole environment anyway.)
    for (const std::string& one : variables.all()) {
      const std::string name = one.substr(0, one.find('='));
      const bool passed = std::find(kPassedOn.begin(), kPassedOn.end(), name) != kPassedOn.end();
      if (passed || name.starts_with("ARGOSY_")) job.arguments.insert(job.arguments.end(), {"-x", name});
    }
  } else {
    // The whole environment, also to other hosts and whatever HYDRA_ENV says; it travels through hydra's own sockets.
    job.arguments.emplace_back("-genvall");
    if (!plan.hosts.empty()) job.arguments.insert(job.arguments.end(), {"-hosts", hydra_hosts(plan)});
  }
  const auto extra = split_shell_words(options.launcher_args);
  job.arguments.insert(job.arguments.end(), extra.begin(), extra.end());
  job.arguments.push_back(context.program);
  // The ranks take the words from the environment, where every byte is safe. These are for who reads the process list.
  append_words_to_show(job.arguments, context.words);
  job.environment = variables.all();
  return job;
}

std::vector<std::string> remote_shell(std::string_view mpi, const command::CommonOptions& options,
                                      const std::vector<std::string>& environment) {
  const std::vector<std::string> words = split_shell_words(options.launcher_args);
  const Variables variables(environment);
  // The agent's words, from the value of the option or variable that names it.
  const auto agent = [](std::string text) {
    // Open MPI takes a list "ssh : rsh", of which the first is the one in use wherever it is installed.
    text = text.substr(0, text.find(" : "));
    return split_shell_words(text);
  };
  if (mpi == "openmpi") {
    constexpr std::array kNames = {"plm_rsh_agent", "orte_rsh_agent"};
    for (std::size_t i = 0; i + 2 < words.size(); ++i) {
      const bool sets = words[i] == "--mca" || words[i] == "-mca";
      if (sets && std::find(kNames.begin(), kNames.end(), words[i + 1]) != kNames.end()) return agent(words[i + 2]);
    }
    for (const char* name : kNames) {
      if (const auto value = variables.get(fmt::format("OMPI_MCA_{}", name))) return agent(*value);
    }
  } else {
    for (std::size_t i = 0; i + 1 < words.size(); ++i) {
      if (words[i] == "-launcher-exec" || words[i] == "-bootstrap-exec" || words[i] == "--launcher-exec") {
        return agent(words[i + 1]);
      }
    }
    for (const char* name : {"HYDRA_LAUNCHER_EXEC", "HYDRA_BOOTSTRAP_EXEC"}) {
      if (const auto value = variables.get(name)) return agent(*value);
    }
  }
  if (variables.has("SLURM_JOB_ID") || variables.has("SLURM_JOBID") || variables.has("PBS_JOBID")) return {};
  return {"ssh"};
}

}  // namespace argosy::cli
