// `argosy send`, as the command line has it.
#include "cli/command_line.h"

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "cli/source_options.h"
#include "cli/units.h"

namespace argosy::cli {

namespace {

constexpr std::string_view kHelp =
    R"(usage: argosy send [OPTIONS] FILE... DIR
       argosy send [OPTIONS] --files-from LIST [FILE...] DIR

Moves files from the host of one rank into the folder DIR on the host of
another. The digests of what was read and of what was written are compared. A
file appears under its name when all of it is there and right, or not at all;
its mode and its modification time go with it.

FILE is read on the host of the rank --from; - is standard input, and needs
--as. DIR is made where it is missing, with its parents. Relative names start
in the folder where argosy was started, on every host. Names are bytes; what
stands behind -- is a name, also when it begins with '-'.

FILE may be a folder. `send dataset out` and `send dataset/ out` both put it
at out/dataset; one that is there is added to: what has the same name is
replaced, other names stay (--as new: out/new instead). A folder is never
replaced by a file, nor a file by a folder: that fails, and the rest arrives.
A file that is there with its size and time is not moved again.
What Ctrl-C or a kill has cut short goes on with the same command, within a
large file too.

In DIR, %h stands for the host's name up to its first dot, %r for the rank and
%% for a percent sign.
)";

constexpr std::string_view kExamples =
    R"(Examples:
  argosy send big.bin out/
      on this machine, from one process to another
  argosy send --hosts a,b big.bin /scratch
      from host a to host b
  argosy send --hosts a,b --from 1 --to 0 *.dat '/scratch/%h'
      from host b into the folder /scratch/a on host a
  tar c tree | argosy send --hosts a,b --as tree.tar - /scratch
      standard input
  mpirun -n 2 --host a,b argosy send big.bin /scratch
      with ranks that somebody else has started
)";

constexpr CommandLine::About kAbout = {"send", "move files from one rank's host to another's",
                                       "argosy send [OPTIONS] FILE... DIR", kHelp, kExamples};

class SendLine : public CommandLine {
 public:
  const About& about() const override { return kAbout; }

  void add_options(CLI::App& app) override {
    add_text(app, values_, "--from", "R", "the rank that reads (0)");
    add_text(app, values_, "--to", "R", "the rank that writes (1)");
    app.add_flag("--checksum", send_.checksum, "a file is in place when its digest agrees, not\nits size and time");
    add_source_options(app, values_, send_.from0);
    add_manifest_option(app, values_);
    add_tree_options(app, values_, send_.tree);
  }

  void take_values(const std::vector<std::pair<std::string, std::string>>& values) override {
    send_.tree.rules = select_rules(values);
  }

  command::CommandOptions read(const CLI::App& app, std::vector<std::string> names) const override {
    command::SendOptions send = send_;
    convert(values_, app, "--from", "rank (0 or more)", parse_count, send.from);
    convert(values_, app, "--to", "rank (0 or more)", parse_count, send.to);
    send.directory = take_sources(app, values_, std::move(names), send);
    if (send.from == send.to) {
      throw usage(fmt::format("--from and --to are both rank {}: a copy within a rank is cp's work", send.from));
    }
    validate_directory(send.directory);
    validate_sources(send, send.from);
    return send;
  }

 private:
  command::SendOptions send_;
  Texts values_;
};

}  // namespace

std::unique_ptr<CommandLine> send_line() { return std::make_unique<SendLine>(); }

}  // namespace argosy::cli
