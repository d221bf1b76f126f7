#include "cli/help.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

namespace argosy::cli {

namespace {

constexpr std::string_view kUnits =
    R"(A SIZE or RATE is a number with K, M, G or T (powers of 1000) or Ki, Mi, Gi or
Ti (powers of 1024), and an optional B: 64MiB, 1.5G. A RATE is bytes a second.
)";

constexpr std::string_view kLaunching =
    R"(Without a launcher argosy starts its ranks itself, with the mpiexec of the MPI
it was built with: on this machine, or on --hosts. These it reaches as that
mpiexec does (by ssh, unless --launcher-args say otherwise); argosy has to be
there under the same path. Under that MPI's mpirun or mpiexec, or under srun
with its PMI, it uses the ranks it is given; -n, --hosts, --hostfile and
--launcher-args then mean nothing.

`argosy COMMAND --help` tells more of a command. Options that all commands
share stand before or after its name.
)";

constexpr std::string_view kExitCodes =
    R"(Exit codes:
  0         everything asked for is in place and verified
  1         finished, but some files or some hosts failed
  2         wrong usage, too few ranks included
  3         a source is missing, can't be read, or changed while it was read
  4         a destination can't be written: permission, space, another run
  5         bytes differ from what they should be
  6         MPI, the launcher or a host failed, or nothing moved for so long as
            --stall-timeout says
  7         the origin of an HTTP source refused, changed or failed
  130, 143  interrupted by Ctrl-C (SIGINT), by SIGTERM
)";

constexpr std::string_view kEnvironment =
    R"(Environment:
  ARGOSY_RANKS_A_NODE=N       N ranks in a row count as a node of their
                              own, for tests on one machine
  OMPI_MCA_*, HYDRA_*, UCX_*  settings of the MPI and its launcher: those that
                              you have set stay
  TERM=dumb                   a line of progress every 5 seconds, and no bar
)";

constexpr std::size_t kColumn = 28;

// "-n,--ranks N" and its description, further lines of which are indented.
std::string option_lines(const CLI::Option& option) {
  std::string names;
  for (const std::string& name : option.get_snames()) names += fmt::format("-{},", name);
  if (names.empty()) names = "   ";
  for (const std::string& name : option.get_lnames()) names += fmt::format("--{}", name);
  const bool has_value = option.get_items_expected_max() > 0;
  if (has_value) names += " " + option.get_type_name();
  std::string description = option.get_description();
  for (std::size_t at = description.find('\n'); at != std::string::npos; at = description.find('\n', at + 1)) {
    description.insert(at + 1, kColumn + 2, ' ');
  }
  return fmt::format("  {:<{}}{}\n", names, kColumn, description);
}

std::string options_section(std::string_view title, const CLI::App& app) {
  std::string section = fmt::format("{}:\n", title);
  for (const CLI::Option* option : app.get_options()) section += option_lines(*option);
  return section;
}

}  // namespace

std::string short_usage(const std::vector<std::unique_ptr<CommandLine>>& lines) {
  std::string text;
  for (const auto& line : lines)
    text += fmt::format("{} {}\n", text.empty() ? "usage:" : "      ", line->about().usage);
  return text + "       argosy --help | argosy COMMAND --help | argosy --version\n";
}

std::string help_text(const CLI::App& app) {
  std::string text =
      fmt::format("usage: argosy [OPTIONS] COMMAND [OPTIONS] NAMES...\n\n{}\n\nCommands:\n", app.get_description());
  for (const CLI::App* one : app.get_subcommands([](const CLI::App*) { return true; })) {
    text += fmt::format("  {:<{}}{}\n", one->get_name(), kColumn, one->get_description());
  }
  return text + fmt::format("\n{}\n{}\n{}\n{}\n{}", kLaunching, options_section("Options", app), kUnits, kExitCodes,
                            kEnvironment);
}

std::string help_text(const CLI::App& app, const CLI::App& command, const CommandLine& line) {
  return fmt::format("{}\n{}\n{}\n{}\n{}\n{}", line.about().help,
                     options_section(fmt::format("Options of {}", command.get_name()), command),
                     options_section("Options of every command", app), kUnits, line.about().examples, kExitCodes);
}

std::string version_text(const std::string& mpi_library) {
  // Open MPI: "Open MPI v4.1.4, package: ...". MPICH: "MPICH Version:\t4.0.2\nMPICH Release date: ...".
  std::string name = mpi_library.substr(0, mpi_library.find_first_of(",\n"));
  if (const std::size_t label = name.find(" Version:"); label != std::string::npos) {
    const std::size_t number = name.find_first_not_of(" \t", label + std::string_view(" Version:").size());
    name = name.substr(0, label) + " " + (number == std::string::npos ? "" : name.substr(number));
  }
  while (!name.empty() && static_cast<unsigned char>(name.back()) <= ' ') name.pop_back();
  return fmt::format("argosy {} ({})\n", ARGOSY_VERSION, name);
}

}  // namespace argosy::cli
