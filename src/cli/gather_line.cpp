// `argosy gather`, as the command line has it.
#include "cli/command_line.h"

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "cli/source_options.h"
#include "cli/stripe_options.h"
#include "cli/units.h"

namespace argosy::cli {

namespace {

constexpr std::string_view kHelp =
    R"(usage: argosy gather [OPTIONS] DIR/NAME OUT

Brings a file that argosy scatter has striped back together, as OUT on one
rank's host. Every rank looks for shares in DIR/NAME.argosy; it does not matter
which rank sees which, or how many ranks there are. Every chunk is checked, what
is lost or damaged is made again from parity, the file's digest is compared, and
OUT appears when all of it is there and right, or not at all. Where too much is
lost, a list says what (exit 5).

In DIR, %h stands for any host's name, %r for any number and %% for a percent
sign.
)";

constexpr std::string_view kExamples =
    R"(Examples:
  argosy gather --hosts a,b,c,d,e /scratch/big.bin /home/me/big.bin
      from the shares on five hosts to rank 0's, a
  argosy gather -n 2 --range 1MiB:4KiB '/tmp/worker%r/big.bin' part.bin
      4 KiB of it
)";

constexpr CommandLine::About kAbout = {"gather", "bring a striped file back together",
                                       "argosy gather [OPTIONS] DIR/NAME OUT", kHelp, kExamples};

std::optional<command::GatherOptions::Range> parse_range(const std::string& text) {
  const std::size_t colon = text.find(':');
  if (colon == std::string::npos) return std::nullopt;
  const auto offset = parse_size(text.substr(0, colon));
  const auto length = parse_size(text.substr(colon + 1));
  if (!offset || !length) return std::nullopt;
  return command::GatherOptions::Range{*offset, *length};
}

class GatherLine : public CommandLine {
 public:
  const About& about() const override { return kAbout; }

  void add_options(CLI::App& app) override {
    add_text(app, values_, "--to", "R", "the rank that gets the file (0)");
    add_text(app, values_, "--range", "OFFSET:LENGTH", "only this part of the file, as far as it goes");
  }

  command::CommandOptions read(const CLI::App& app, std::vector<std::string> names) const override {
    command::GatherOptions gather;
    convert(values_, app, "--to", "rank (0 or more)", parse_count, gather.to);
    command::GatherOptions::Range range;
    convert(values_, app, "--range", "range (OFFSET:LENGTH, such as 1MiB:64KiB)", parse_range, range);
    if (app.get_option("--range")->count() > 0) gather.range = range;
    if (names.size() != 2) throw usage("gather: a DIR/NAME and an OUT are needed, and nothing else");
    static_cast<command::StripeName&>(gather) = parse_stripe_name(names[0]);
    gather.out = names[1];
    if (gather.out.empty() || gather.out.ends_with('/')) throw usage("gather: OUT is a file's name");
    return gather;
  }

 private:
  Texts values_;
};

}  // namespace

std::unique_ptr<CommandLine> gather_line() { return std::make_unique<GatherLine>(); }

}  // namespace argosy::cli
