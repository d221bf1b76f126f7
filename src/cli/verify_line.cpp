// `argosy verify`, as the command line has it.
#include <memory>
#include <string>
#include <utility>

#include "cli/command_line.h"

namespace argosy::cli {

namespace {

constexpr std::string_view kHelp =
    R"(usage: argosy verify [OPTIONS] A B
       argosy verify [OPTIONS] --nodes DIR
       argosy verify [OPTIONS] --manifest FILE DIR

Compares two trees: A and B; or DIR as it is on every node; or DIR and what
--save-manifest has written of a transfer into it. Contents, types,
permissions, owners, modification times, links and extended attributes count. Prints a line
for each difference. Ends with 0 where there is none, else with 1.

A and B are read by all ranks, and so is DIR with --manifest: each has to see
them. FILE is read on rank 0's host.
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
)";

constexpr CommandLine::About kAbout = {"verify", "compare folders, over nodes too, or a manifest",
                                       "argosy verify [OPTIONS] A B | --nodes DIR | --manifest FILE DIR", kHelp,
                                       kExamples};

class VerifyLine : public CommandLine {
 public:
  const About& about() const override { return kAbout; }

  void add_options(CLI::App& app) override {
    app.add_flag("--nodes", nodes_, "compare DIR on every node");
    add_text(app, values_, "--manifest", "FILE", "compare DIR with what FILE says of it");
    app.add_flag("--no-owner", verify_.no_owner, "owner and group do not count");
    app.add_flag("--no-mode", verify_.no_mode, "permissions do not count");
    app.add_flag("--no-times", verify_.no_times, "modification times do not count");
    app.add_flag("--no-xattrs", verify_.no_xattrs, "extended attributes and ACLs do not count");
  }

  command::CommandOptions read(const CLI::App& app, std::vector<std::string> names) const override {
    using Against = command::VerifyOptions::Against;
    command::VerifyOptions verify = verify_;
    copy(values_, app, "--manifest", verify.manifest);
    if (nodes_ && !verify.manifest.empty()) throw usage("--nodes and --manifest can't be given together");
    verify.against = nodes_ ? Against::kNodes : verify.manifest.empty() ? Against::kOther : Against::kManifest;
    const std::size_t wanted = verify.against == Against::kOther ? 2 : 1;
    if (names.size() != wanted) {
      throw usage(wanted == 2 ? "verify: two names are needed, A and B (argosy verify --help tells more)"
                              : "verify: one DIR is needed (argosy verify --help tells more)");
    }
    for (const std::string& name : names) {
      if (name.empty()) throw usage("verify: a name is empty");
    }
    verify.directory = std::move(names[0]);
    if (wanted == 2) verify.other = std::move(names[1]);
    return verify;
  }

 private:
  command::VerifyOptions verify_;
  bool nodes_ = false;
  Texts values_;
};

}  // namespace

std::unique_ptr<CommandLine> verify_line() { return std::make_unique<VerifyLine>(); }

}  // namespace argosy::cli
