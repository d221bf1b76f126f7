// `argosy verify`, as the command line has it.
#include <memory>
#include <string>
#include <utility>

#include "cli/command_line.h"
#include "cli/source_options.h"
#include "cli/stripe_options.h"

namespace argosy::cli {

namespace {

constexpr std::string_view kHelp =
    R"(usage: argosy verify [OPTIONS] A B
       argosy verify [OPTIONS] --nodes DIR
       argosy verify [OPTIONS] --manifest FILE DIR
       argosy verify [OPTIONS] --stripes DIR/NAME

Compares two trees: A and B; or DIR as it is on every node; or DIR and what
--save-manifest has written of a transfer into it. Contents, types,
permissions, owners, modification times, links and extended attributes count.
Prints a line for each difference. Ends with 0 where there is none, else with 1.

A and B are read by all ranks, and so is DIR with --manifest: each has to see
them. FILE is read on rank 0's host, and is refused where its end is missing.

With --nodes and --manifest, %h in DIR stands for the host, %r for the rank and
%% for a percent sign, as with bcast: then every node's folder is compared, and
with %r every rank's. Of DIR itself the modification time does not count with
--nodes: the nodes have made it one after another.

With --stripes every rank checks the shares of a striped file that it sees, all
at once, and it is said whether the file can still be had, and how many more
shares may be lost. Exit 0: all is right; 1: something is damaged or missing,
and the file can be had; 5: it can't be had any more. In DIR, %h stands for any
host's name, %r for any number and %% for a percent sign.
)";

constexpr std::string_view kExamples =
    R"(Examples:
  argosy verify dataset /shared/copy
      two folders that every rank sees
  argosy verify --hosts a,b,c --nodes /scratch/dataset
      the same on a, b and c?
  argosy send --save-manifest m.json dataset /backup
  argosy verify --manifest m.json /backup
      still what it was?
  argosy verify --manifest m.json -n 4 '/scratch/%r'
      is each rank's copy?
  argosy verify --hosts a,b,c,d,e --stripes /scratch/big.bin
      can big.bin, which was scattered, still be had?
)";

constexpr CommandLine::About kAbout = {
    "verify", "compare folders, also over nodes; check stripes",
    "argosy verify [OPTIONS] A B | --nodes DIR | --manifest FILE DIR | --stripes DIR/NAME", kHelp, kExamples};

class VerifyLine : public CommandLine {
 public:
  const About& about() const override { return kAbout; }

  void add_options(CLI::App& app) override {
    app.add_flag("--nodes", nodes_, "compare DIR on every node");
    add_text(app, values_, "--manifest", "FILE", "compare DIR with what FILE says of it");
    app.add_flag("--stripes", stripes_, "check the shares of a striped file");
    app.add_flag("--no-owner", verify_.no_owner, "owner and group do not count");
    app.add_flag("--no-mode", verify_.no_mode, "permissions do not count");
    app.add_flag("--no-times", verify_.no_times, "modification times do not count");
    app.add_flag("--no-xattrs", verify_.no_xattrs, "extended attributes and ACLs do not count");
  }

  command::CommandOptions read(const CLI::App& app, std::vector<std::string> names) const override {
    using Against = command::VerifyOptions::Against;
    command::VerifyOptions verify = verify_;
    copy(values_, app, "--manifest", verify.manifest);
    if (int{nodes_} + int{stripes_} + int{!verify.manifest.empty()} > 1) {
      throw usage("only one of --nodes, --manifest and --stripes can be given");
    }
    if (stripes_) {
      const bool compares = verify.no_owner || verify.no_mode || verify.no_times || verify.no_xattrs;
      if (compares) throw usage("verify: --no-owner and the like are for folders, not for --stripes");
      if (names.size() != 1) throw usage("verify: one DIR/NAME is needed, and nothing else");
      verify.against = Against::kStripes;
      verify.stripe = parse_stripe_name(names[0]);
      return verify;
    }
    verify.against = nodes_ ? Against::kNodes : verify.manifest.empty() ? Against::kOther : Against::kManifest;
    const std::size_t wanted = verify.against == Against::kOther ? 2 : 1;
    if (names.size() != wanted) {
      throw usage(wanted == 2 ? "verify: two names are needed, A and B (argosy verify --help tells more)"
                              : "verify: one DIR is needed (argosy verify --help tells more)");
    }
    for (const std::string& name : names) {
      if (name.empty()) throw usage("verify: a name is empty");
    }
    if (verify.against != Against::kOther) validate_directory(names[0]);
    verify.directory = std::move(names[0]);
    if (wanted == 2) verify.other = std::move(names[1]);
    return verify;
  }

 private:
  command::VerifyOptions verify_;
  bool nodes_ = false;
  bool stripes_ = false;
  Texts values_;
};

}  // namespace

std::unique_ptr<CommandLine> verify_line() { return std::make_unique<VerifyLine>(); }

}  // namespace argosy::cli
