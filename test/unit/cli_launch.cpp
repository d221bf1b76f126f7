#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "base/error.h"
#include "cli/hosts.h"
#include "cli/launcher.h"
#include "cli/mpiexec.h"

namespace argosy::cli {
namespace {

using Words = std::vector<std::string>;

Environment environment_of(std::map<std::string, std::string> variables) {
  return [variables = std::move(variables)](const std::string& name) -> std::optional<std::string> {
    const auto found = variables.find(name);
    return found == variables.end() ? std::nullopt : std::optional(found->second);
  };
}

Starter starter(const char* mpi, std::map<std::string, std::string> variables) {
  return detect_launch(mpi, environment_of(std::move(variables))).starter;
}

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

TEST(CliLauncher, NobodyStartedIt) {
  for (const char* mpi : {"openmpi", "mpich"}) {
    EXPECT_EQ(starter(mpi, {}), Starter::kNobody);
    EXPECT_EQ(starter(mpi, {{"ARGOSY_CHANNEL", "left over"}}), Starter::kNobody);
    // A batch script, also in a step of its own.
    EXPECT_EQ(starter(mpi, {{"SLURM_PROCID", "0"}, {"SLURM_JOB_ID", "7"}, {"SLURM_NTASKS", "8"}}), Starter::kNobody);
    EXPECT_EQ(starter(mpi, {{"SLURM_PROCID", "0"}, {"SLURM_STEP_NUM_TASKS", "1"}}), Starter::kNobody);
  }
}

TEST(CliLauncher, KnowsItsOwnMpi) {
  EXPECT_EQ(starter("openmpi", {{"OMPI_COMM_WORLD_SIZE", "2"}}), Starter::kOurMpi);
  EXPECT_EQ(starter("openmpi", {{"PMIX_RANK", "0"}, {"SLURM_STEP_NUM_TASKS", "4"}}), Starter::kOurMpi);
  for (const char* mark : {"PMI_RANK", "PMI_FD", "PMI_SIZE"})
    EXPECT_EQ(starter("mpich", {{mark, "1"}}), Starter::kOurMpi);
  EXPECT_EQ(starter("mpich", {{"PMI_RANK", "1"}, {"OMPI_COMM_WORLD_SIZE", "2"}}), Starter::kOurMpi);
  EXPECT_EQ(starter("openmpi", {{"PMI_RANK", "1"}, {"OMPI_COMM_WORLD_SIZE", "2"}}), Starter::kOurMpi);
}

TEST(CliLauncher, RefusesTheOtherMpiOnce) {
  const auto under_hydra = detect_launch("openmpi", environment_of({{"PMI_RANK", "0"}, {"PMI_SIZE", "2"}}));
  EXPECT_EQ(under_hydra.starter, Starter::kOtherMpi);
  EXPECT_TRUE(under_hydra.speaks);
  EXPECT_TRUE(contains(under_hydra.refusal, "Open MPI") && contains(under_hydra.refusal, "MPICH's launcher"));
  EXPECT_TRUE(contains(under_hydra.refusal, "mpiexec."));
  const auto under_mpirun =
      detect_launch("mpich", environment_of({{"OMPI_COMM_WORLD_SIZE", "2"}, {"OMPI_COMM_WORLD_RANK", "1"}}));
  EXPECT_EQ(under_mpirun.starter, Starter::kOtherMpi);
  EXPECT_FALSE(under_mpirun.speaks);
  const auto under_pmix = detect_launch("mpich", environment_of({{"PMIX_RANK", "0"}, {"SLURM_STEP_NUM_TASKS", "2"}}));
  EXPECT_TRUE(contains(under_pmix.refusal, "srun --mpi=pmix") && contains(under_pmix.refusal, "--mpi=pmi2"));
}

TEST(CliLauncher, RefusesTasksWithoutPmi) {
  const std::map<std::string, std::string> task = {{"SLURM_STEP_NUM_TASKS", "2"}, {"SLURM_PROCID", "1"}};
  for (const char* mpi : {"openmpi", "mpich"}) {
    const auto launch = detect_launch(mpi, environment_of(task));
    EXPECT_EQ(launch.starter, Starter::kOtherMpi);
    EXPECT_FALSE(launch.speaks);
    EXPECT_TRUE(contains(launch.refusal, "several tasks"));
  }
}

TEST(CliLauncher, KnowsItsSupervisor) {
  const auto launch = detect_launch("mpich", environment_of({{"PMI_RANK", "3"}, {"ARGOSY_CHANNEL", "t,1,127.0.0.1"}}));
  EXPECT_EQ(launch.channel, "t,1,127.0.0.1");
  EXPECT_FALSE(launch.speaks);
}

TEST(CliLauncher, WordsSurviveTheEnvironment) {
  Words words = {"", "a b", ":", "\n", "%41", "&", "\xff", "--x=y", ""};
  EXPECT_EQ(decode_words(encode_words(words)), words);
  EXPECT_EQ(decode_words(encode_words({})), Words{});
  for (int i = 0; i < 30000; ++i) words.push_back("some/name/" + std::to_string(i));
  std::map<std::string, std::string> variables = {
      {"PMI_RANK", "0"}, {"OMPI_COMM_WORLD_SIZE", "1"}, {"ARGOSY_CHANNEL", "x"}};
  for (const auto& [name, value] : words_environment(words)) {
    EXPECT_LT(value.size(), 131072U - 64);
    variables.emplace(name, value);
  }
  EXPECT_GT(variables.size(), 5U);
  const auto environment = environment_of(variables);
  const char* argv[] = {"argosy", "shown"};
  EXPECT_EQ(command_line(2, argv, detect_launch(kMpi, environment), environment), words);
  EXPECT_EQ(command_line(2, argv, Launch{}, environment), Words{"shown"});
}

TEST(CliLauncher, StartsWhereTheSupervisorDid) {
  const auto environment = environment_of({{"ARGOSY_START_DIRECTORY", "/some/where"}});
  Launch supervised;
  supervised.channel = "x";
  EXPECT_EQ(start_directory(supervised, environment), "/some/where");
  EXPECT_EQ(start_directory(Launch{}, environment), std::filesystem::current_path().string());
}

TEST(CliHosts, ReadsLists) {
  EXPECT_EQ(parse_hosts("a"), (std::vector<Host>{{"a", 1}}));
  EXPECT_EQ(parse_hosts("a,b:2,c.d-e_f"), (std::vector<Host>{{"a", 1}, {"b", 2}, {"c.d-e_f", 1}}));
  EXPECT_EQ(parse_hosts("a,b,a:3"), (std::vector<Host>{{"a", 4}, {"b", 1}}));
  EXPECT_EQ(parse_hosts("[fe80::1],[::1]:3,10.0.0.1:2"),
            (std::vector<Host>{{"fe80::1", 1}, {"::1", 3}, {"10.0.0.1", 2}}));
  EXPECT_THROW(parse_hosts("fe80::1"), base::Error);
}

TEST(CliHosts, ReadsHostfiles) {
  EXPECT_EQ(parse_hostfile("# all\n\na\n b:2 # fast\nc slots=3\r\na\n", "f"),
            (std::vector<Host>{{"a", 2}, {"b", 2}, {"c", 3}}));
  EXPECT_EQ(parse_hostfile("a", "f"), (std::vector<Host>{{"a", 1}}));
  for (const char* text : {"", "# nothing\n", "a b\n", "a slots=0\n", "a slots=x", "a slots=1 more\n", "a:b\n"}) {
    EXPECT_THROW(parse_hostfile(text, "f"), base::Error) << text;
  }
  EXPECT_THROW(read_hostfile("/no/such/file"), base::Error);
}

TEST(CliHosts, DealsRanks) {
  using Dealt = std::vector<std::size_t>;
  EXPECT_EQ(deal_ranks(parse_hosts("a,b"), 2), (Dealt{0, 1}));
  EXPECT_EQ(deal_ranks(parse_hosts("a"), 2), (Dealt{0, 0}));
  EXPECT_EQ(deal_ranks(parse_hosts("a,b"), 3), (Dealt{0, 1, 0}));
  EXPECT_EQ(deal_ranks(parse_hosts("a:2,b,c:2"), 6), (Dealt{0, 0, 1, 2, 2, 0}));
  EXPECT_EQ(deal_ranks({}, 2), Dealt{});
}

TEST(CliHosts, KnowsThisMachine) {
  EXPECT_TRUE(is_this_machine("localhost"));
  EXPECT_TRUE(is_this_machine("127.0.0.1"));
  EXPECT_FALSE(is_this_machine("some-other-host.example"));
  EXPECT_FALSE(is_this_machine("192.0.2.200"));
}

command::Options options_for(const std::string& hosts, int ranks, command::SendOptions send = {}) {
  command::Options options;
  options.common.hosts = hosts;
  options.common.ranks = ranks;
  options.command = std::move(send);
  return options;
}

TEST(CliPlan, SendNeedsTwoRanks) {
  EXPECT_EQ(plan_job(options_for("", 0)).ranks, 2);
  EXPECT_TRUE(plan_job(options_for("", 0)).on_this_machine);
  EXPECT_TRUE(plan_job(options_for("localhost", 0)).on_this_machine);
  EXPECT_FALSE(plan_job(options_for("far,away", 0)).on_this_machine);
  EXPECT_EQ(plan_job(options_for("a,b,c", 0)).used_hosts(), (Words{"a", "b"}));
  EXPECT_EQ(plan_job(options_for("a", 0)).used_hosts(), Words{"a"});
  EXPECT_THROW(plan_job(options_for("", 1)), base::Error);
  command::SendOptions far;
  far.to = 2;
  EXPECT_THROW(plan_job(options_for("", 0, far)), base::Error);
  EXPECT_EQ(plan_job(options_for("", 3, far)).ranks, 3);
}

TEST(CliPlan, SplitsWordsAsAShellDoes) {
  EXPECT_EQ(split_shell_words(""), Words{});
  EXPECT_EQ(split_shell_words("  --mca a b\t'c d' \"e \\\" f\" g\\ h '' i'j'\"k\" \"\\n\""),
            (Words{"--mca", "a", "b", "c d", "e \" f", "g h", "", "ijk", "\\n"}));
  EXPECT_THROW(split_shell_words("'"), base::Error);
  EXPECT_THROW(split_shell_words("\"x"), base::Error);
}

struct Built {
  Words arguments;
  std::map<std::string, std::string> environment;
};

Built build(const char* mpi, const command::Options& options, Words environment = {}) {
  JobContext context;
  context.mpi = mpi;
  context.mpiexec = "/usr/bin/mpiexec";
  context.program = "/opt/argosy";
  context.words = {"send", "a", ":", "b\n", "out"};
  context.start_directory = "/start";
  context.channel = "secret,1,127.0.0.1";
  context.environment = std::move(environment);
  context.as_root = true;
  const JobCommand command = build_job_command(plan_job(options), options.common, context);
  Built built{command.arguments, {}};
  for (const std::string& one : command.environment) {
    EXPECT_TRUE(built.environment.emplace(one.substr(0, one.find('=')), one.substr(one.find('=') + 1)).second) << one;
  }
  return built;
}

TEST(CliMpiexec, OpenMpiOnThisMachine) {
  const Built built = build("openmpi", options_for("", 0));
  EXPECT_EQ(built.arguments,
            (Words{"/usr/bin/mpiexec", "-n", "2", "-wdir", "/", "-x", "ARGOSY_CHANNEL", "-x", "ARGOSY_START_DIRECTORY",
                   "-x", "ARGOSY_WORDS_0", "/opt/argosy", "send", "a", "b\\n", "out"}));
  EXPECT_EQ(built.environment.at("ARGOSY_CHANNEL"), "secret,1,127.0.0.1");
  EXPECT_EQ(built.environment.at("OMPI_ALLOW_RUN_AS_ROOT"), "1");
  EXPECT_EQ(built.environment.at("OMPI_MCA_rmaps_base_oversubscribe"), "1");
  EXPECT_EQ(built.environment.at("OMPI_MCA_mpi_yield_when_idle"), "1");
  EXPECT_FALSE(built.environment.contains("OMPI_MCA_rmaps_base_mapping_policy"));
}

TEST(CliMpiexec, OpenMpiOnHosts) {
  auto options = options_for("h1,h2:2", 4);
  options.common.launcher_args = "--mca plm_rsh_agent 'my agent'";
  const Built built = build("openmpi", options);
  const Words start(built.arguments.begin(), built.arguments.begin() + 7);
  EXPECT_EQ(start, (Words{"/usr/bin/mpiexec", "-n", "4", "-wdir", "/", "--host", "h1,h2,h2,h1"}));
  EXPECT_EQ(built.environment.at("OMPI_MCA_rmaps_base_mapping_policy"), "seq");
  const auto agent = std::find(built.arguments.begin(), built.arguments.end(), "my agent");
  ASSERT_NE(agent, built.arguments.end());
  EXPECT_EQ(agent[1], "/opt/argosy");
}

TEST(CliMpiexec, HydraOnThisMachineAndOnHosts) {
  EXPECT_EQ(
      build("mpich", options_for("", 3)).arguments,
      (Words{"/usr/bin/mpiexec", "-n", "3", "-wdir", "/", "-genvall", "/opt/argosy", "send", "a", "b\\n", "out"}));
  EXPECT_EQ(build("mpich", options_for("h1,h2:2", 4)).arguments,
            (Words{"/usr/bin/mpiexec", "-n", "4", "-wdir", "/", "-genvall", "-hosts", "h1:1,h2:2,h1:1", "/opt/argosy",
                   "send", "a", "b\\n", "out"}));
}

TEST(CliMpiexec, TheTokenIsInNoCommandLine) {
  for (const char* mpi : {"openmpi", "mpich"}) {
    for (const std::string& word : build(mpi, options_for("h1,h2", 0)).arguments)
      EXPECT_FALSE(contains(word, "secret"));
  }
}

TEST(CliMpiexec, WhatTheUserSetStays) {
  const Built built = build("openmpi", options_for("", 0),
                            {"OMPI_MCA_mpi_yield_when_idle=0", "UCX_TLS=tcp", "LD_PRELOAD=x.so", "PATH=/bin"});
  EXPECT_EQ(built.environment.at("OMPI_MCA_mpi_yield_when_idle"), "0");
  EXPECT_EQ(built.environment.at("UCX_TLS"), "tcp");
  EXPECT_EQ(built.environment.at("LD_PRELOAD"), "x.so");
}

TEST(CliMpiexec, WhatOuterJobsSetGoes) {
  const Words outer = {"PMI_RANK=3",        "PMIX_NAMESPACE=x", "PMIX_MCA_gds=hash", "SLURM_JOB_ID=7",
                       "HYDRA_HOST_FILE=f", "ARGOSY_CHANNEL=y", "ARGOSY_WORDS_3=z",  "ARGOSY_RANKS_A_NODE=1"};
  const Built here = build("openmpi", options_for("", 0), outer);
  for (const char* name : {"PMI_RANK", "PMIX_NAMESPACE", "SLURM_JOB_ID", "HYDRA_HOST_FILE", "ARGOSY_WORDS_3"}) {
    EXPECT_FALSE(here.environment.contains(name)) << name;
  }
  EXPECT_TRUE(here.environment.contains("PMIX_MCA_gds"));
  EXPECT_EQ(here.environment.at("ARGOSY_CHANNEL"), "secret,1,127.0.0.1");
  EXPECT_NE(std::find(here.arguments.begin(), here.arguments.end(), "ARGOSY_RANKS_A_NODE"), here.arguments.end());
  // Hosts of an allocation are reached the batch system's way.
  EXPECT_TRUE(build("mpich", options_for("far", 0), outer).environment.contains("SLURM_JOB_ID"));
}

TEST(CliMpiexec, TooManyWordsAreRefused) {
  JobContext context;
  context.mpi = "mpich";
  context.words.assign(100'000, std::string(20, 'x'));
  const auto options = options_for("", 0);
  EXPECT_THROW(build_job_command(plan_job(options), options.common, context), base::Error);
}

TEST(CliMpiexec, KnowsTheRemoteShell) {
  command::CommonOptions options;
  EXPECT_EQ(remote_shell("openmpi", options, {}), Words{"ssh"});
  EXPECT_EQ(remote_shell("mpich", options, {"SLURM_JOB_ID=1"}), Words{});
  EXPECT_EQ(remote_shell("openmpi", options, {"OMPI_MCA_plm_rsh_agent=rsh -x : ssh"}), (Words{"rsh", "-x"}));
  EXPECT_EQ(remote_shell("mpich", options, {"HYDRA_LAUNCHER_EXEC=/my/on", "SLURM_JOB_ID=1"}), Words{"/my/on"});
  options.launcher_args = "--mca btl tcp --mca plm_rsh_agent 'ssh -p 22' -launcher-exec /on";
  EXPECT_EQ(remote_shell("openmpi", options, {}), (Words{"ssh", "-p", "22"}));
  EXPECT_EQ(remote_shell("mpich", options, {}), Words{"/on"});
}

}  // namespace
}  // namespace argosy::cli
