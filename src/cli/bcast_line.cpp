// `argosy bcast`, as the command line has it.
#include "cli/command_line.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "cli/source_options.h"
#include "cli/units.h"

namespace argosy::cli {

namespace {

constexpr std::string_view kHelp =
    R"(usage: argosy bcast [OPTIONS] FILE... DIR
       argosy bcast [OPTIONS] --files-from LIST [FILE...] DIR

Puts the files of rank 0's host into the folder DIR on every node, in little
more than the time to send them once, and verifies them there. One rank of each
node writes; with %r in DIR every rank gets a copy of its own, handed over inside
the node. A node that has a file of that size and time already writes nothing,
but hands it on. A node whose disk fails hands on all the same, and is reported
(exit 1). Where several nodes see DIR on one file system, one of them writes.

Nodes pass the data on from one to the next (chain), over two trees (two-tree),
or, where every node sees the FILEs (--source shared), around a ring in which each
reads its part once. auto takes what is predicted to be fastest.

FILE may be a folder: dataset and dataset/ both become DIR/dataset; what is
there under the same names is replaced, other names stay (--as new: DIR/new). A
folder is never replaced by a file, nor a file by a folder: that fails, and the
rest arrives.
What Ctrl-C or a kill has cut short goes on with the same command.

In DIR, %h stands for the host's name up to its first dot, %r for the rank and
%% for a percent sign. FILE, --as and names are as with argosy send.
)";

constexpr std::string_view kExamples =
    R"(Examples:
  argosy bcast --hosts a,b,c,d model.bin /scratch
      /scratch/model.bin on each of four hosts
  argosy bcast --hosts a,b,c,d --source shared /nfs/model.bin /scratch
      each host reads a quarter of it from the shared file system
  srun argosy bcast model.bin '/scratch/%r'
      a copy for every rank
  argosy bcast --hosts a,b,c,d --explain model.bin /scratch
      what each route would take
)";

constexpr CommandLine::About kAbout = {"bcast", "put files of rank 0's host on every node",
                                       "argosy bcast [OPTIONS] FILE... DIR", kHelp, kExamples};

class BcastLine : public CommandLine {
 public:
  const About& about() const override { return kAbout; }

  void add_options(CLI::App& app) override {
    add_text(app, values_, "--route", "ROUTE", "auto, chain, two-tree or ring: the way from\nnode to node (auto)");
    add_text(app, values_, "--source", "WHERE",
             "root: only rank 0 has the FILEs; shared: every\nnode sees them, and each reads a part (root)");
    add_text(app, values_, "--link-rate", "RATE", "what a card carries, for auto's predictions\n(10 Gbit/s: 1.25GB)");
    app.add_flag("--checksum", bcast_.checksum, "a file is in place when its digest agrees, not\nits size and time");
    app.add_flag("--explain", bcast_.explain,
                 "move nothing; show what each route is\npredicted to take, and the choice");
    add_source_options(app, values_, bcast_.from0);
    add_manifest_option(app, values_);
    add_tree_options(app, values_, bcast_.tree);
  }

  void take_values(const std::vector<std::pair<std::string, std::string>>& values) override {
    bcast_.tree.rules = select_rules(values);
  }

  command::CommandOptions read(const CLI::App& app, std::vector<std::string> names) const override {
    command::BcastOptions bcast = bcast_;
    const auto route = [](const std::string& text) -> std::optional<std::optional<core::RouteKind>> {
      if (text == "auto") return std::optional<core::RouteKind>();
      for (const auto kind : {core::RouteKind::kChain, core::RouteKind::kTwoTree, core::RouteKind::kRing}) {
        if (text == core::name_of(kind)) return kind;
      }
      return std::nullopt;
    };
    const auto source = [](const std::string& text) -> std::optional<bool> {
      if (text == "root" || text == "shared") return text == "shared";
      return std::nullopt;
    };
    convert(values_, app, "--route", "route (auto, chain, two-tree or ring)", route, bcast.route);
    convert(values_, app, "--source", "place (root or shared)", source, bcast.shared_source);
    convert(values_, app, "--link-rate", "rate (such as 1.25G or 100MB/s)", parse_rate, bcast.link_rate);
    bcast.directory = take_sources(app, values_, std::move(names), bcast);
    if (bcast.route == core::RouteKind::kRing && !bcast.shared_source) {
      throw usage("--route ring reads on every node: it goes with --source shared");
    }
    const bool standard_input =
        bcast.files_from == "-" || std::find(bcast.files.begin(), bcast.files.end(), "-") != bcast.files.end();
    if (bcast.shared_source && standard_input) throw usage("standard input is rank 0's, and no --source shared");
    validate_directory(bcast.directory);
    validate_sources(bcast, 0);
    return bcast;
  }

 private:
  command::BcastOptions bcast_;
  Texts values_;
};

}  // namespace

std::unique_ptr<CommandLine> bcast_line() { return std::make_unique<BcastLine>(); }

}  // namespace argosy::cli
