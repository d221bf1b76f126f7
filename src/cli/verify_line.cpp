// `argosy verify`, as the command line has it.
#include "cli/command_line.h"

#include <memory>
#include <string>

#include "cli/stripe_options.h"

namespace argosy::cli {

namespace {

constexpr std::string_view kHelp =
    R"(usage: argosy verify [OPTIONS] --stripes DIR/NAME

Has every rank check the shares of a striped file that it sees, all at once,
and says whether the file can still be had, and how many more shares may be
lost. Exit 0: all is right; 1: something is damaged or missing, and the file can
be had; 5: it can't be had any more.

In DIR, %h stands for any host's name, %r for any number and %% for a percent
sign.
)";

constexpr std::string_view kExamples =
    R"(Examples:
  argosy verify --hosts a,b,c,d,e --stripes /scratch/big.bin
)";

constexpr CommandLine::About kAbout = {"verify", "check the shares of a striped file",
                                       "argosy verify [OPTIONS] --stripes DIR/NAME", kHelp, kExamples};

class VerifyLine : public CommandLine {
 public:
  const About& about() const override { return kAbout; }
  void add_options(CLI::App& app) override { app.add_flag("--stripes", stripes_, "the name is a striped file's"); }

  command::CommandOptions read(const CLI::App& /*app*/, std::vector<std::string> names) const override {
    if (!stripes_) throw usage("verify: what is verified are stripes: --stripes DIR/NAME");
    if (names.size() != 1) throw usage("verify: one DIR/NAME is needed, and nothing else");
    command::VerifyOptions verify;
    static_cast<command::StripeName&>(verify) = parse_stripe_name(names[0]);
    return verify;
  }

 private:
  bool stripes_ = false;
};

}  // namespace

std::unique_ptr<CommandLine> verify_line() { return std::make_unique<VerifyLine>(); }

}  // namespace argosy::cli
