// `argosy repair`, as the command line has it.
#include "cli/command_line.h"

#include <memory>
#include <string>

#include "cli/stripe_options.h"

namespace argosy::cli {

namespace {

constexpr std::string_view kHelp =
    R"(usage: argosy repair [OPTIONS] DIR/NAME

Puts the lost and damaged shares of a striped file back, from the others and
their parity. A share that is damaged is written anew where it is; one that is
gone goes to a rank whose DIR has no share, best to the rank of its number. A
manifest or a table of digests that is missing or damaged is put back, too.

In DIR, %h stands for the host's name up to its first dot, %r for the rank and
%% for a percent sign.
)";

constexpr std::string_view kExamples =
    R"(Examples:
  argosy repair --hosts a,b,c,d,f /scratch/big.bin
      f in place of e, which is lost
)";

constexpr CommandLine::About kAbout = {"repair", "put lost shares of a striped file back",
                                       "argosy repair [OPTIONS] DIR/NAME", kHelp, kExamples};

class RepairLine : public CommandLine {
 public:
  const About& about() const override { return kAbout; }
  void add_options(CLI::App& /*app*/) override {}

  command::CommandOptions read(const CLI::App& /*app*/, std::vector<std::string> names) const override {
    if (names.size() != 1) throw usage("repair: one DIR/NAME is needed, and nothing else");
    command::RepairOptions repair;
    static_cast<command::StripeName&>(repair) = parse_stripe_name(names[0]);
    return repair;
  }
};

}  // namespace

std::unique_ptr<CommandLine> repair_line() { return std::make_unique<RepairLine>(); }

}  // namespace argosy::cli
