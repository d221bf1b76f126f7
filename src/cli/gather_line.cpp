// `argosy gather`, as the command line has it.
#include "cli/command_line.h"

#include <fmt/format.h>

#include <array>
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
       argosy gather --concat [OPTIONS] DIR OUT

Brings a file or folder that argosy scatter has striped back together, as OUT
on one rank's host. Every rank looks for shares in DIR/NAME.argosy; it does not
matter which rank sees which, or how many ranks there are. Every chunk is
checked, what is lost or damaged is made again from parity, the file's digest
is compared, and OUT appears when all of it is there and right, or not at all.
Where too much is lost, a list says what (exit 5).

A folder that was striped comes back as OUT, with everything that was in it;
one that is there is added to. --no-owner and the like hold for it, too. Nothing
is moved where OUT is the folder that was striped, by sizes, times and all else
but content; with --checksum, or where anything differs, all of it comes.

In DIR, %h stands for any host's name, %r for any number and %% for a percent
sign.

With --concat every rank gives what is in its own folder DIR, and all of it is
brought into the folder OUT on one rank's host, exact as argosy send does it:
DIR/x becomes OUT/x. In DIR and in OUT, %h stands for the giver's host up to
its first dot, %r for its rank. Ranks that see one DIR give it once, as the
lowest of them. A rank without DIR has failed (exit 1); the others' files come.
Trailing slashes change nothing. OUT is added to: what has the same name is
replaced, other names stay; what is there with its size and time is not moved.
A template in OUT makes it a copy of DIR, whose mode and time it gets.

Where givers share an OUT they share its folders (metadata: the lowest rank's).
Of a name that two of them have, neither is brought, and what stands there
stays: an error names both. Patterns begin in DIR: /tmp is DIR/tmp. --bwlimit
is divided among the givers.
)";

constexpr std::string_view kExamples =
    R"(Examples:
  argosy gather --hosts a,b,c,d,e /scratch/big.bin /home/me/big.bin
      from the shares on five hosts to rank 0's, a
  argosy gather -n 2 --range 1MiB:4KiB '/tmp/worker%r/big.bin' part.bin
      4 KiB of it
  argosy gather --concat --hosts a,b,c /scratch/job 'results/%h'
      each host's own files: results/a/..., results/b/..., results/c/...
  argosy gather --concat --hosts a,b,c /scratch/job results
      all of them in one folder; no two hosts may have a file of one name
)";

constexpr CommandLine::About kAbout = {
    "gather", "bring back what was striped, or all ranks' files",
    "argosy gather [OPTIONS] DIR/NAME OUT\n       argosy gather --concat [OPTIONS] DIR OUT", kHelp, kExamples};

// They say how folders are moved.
constexpr std::array kOfConcat = {"--exclude", "--include",         "--exclude-from",
                                  "--dry-run", "--one-file-system", "--publish"};

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
    add_manifest_option(app, values_, "OUT's");
    app.add_flag("--checksum", gather_.checksum, "a file is in place when its digest agrees, not\nits size and time");
    app.add_flag("--concat", gather_.concat, "bring every rank's own files; what follows goes\nwith it");
    add_tree_options(app, values_, gather_.tree);
  }

  void take_values(const std::vector<std::pair<std::string, std::string>>& values) override {
    gather_.tree.rules = select_rules(values);
  }

  command::CommandOptions read(const CLI::App& app, std::vector<std::string> names) const override {
    command::GatherOptions gather = gather_;
    convert(values_, app, "--to", "rank (0 or more)", parse_count, gather.to);
    command::GatherOptions::Range range;
    convert(values_, app, "--range", "range (OFFSET:LENGTH, such as 1MiB:64KiB)", parse_range, range);
    if (app.get_option("--range")->count() > 0) gather.range = range;
    copy(values_, app, "--save-manifest", gather.save_manifest);
    if (gather.concat) return read_concat(std::move(gather), std::move(names));
    for (const char* name : kOfConcat) {
      if (app.get_option(name)->count() > 0) throw usage(fmt::format("gather: {} goes with --concat", name));
    }
    if (names.size() != 2) throw usage("gather: a DIR/NAME and an OUT are needed, and nothing else");
    static_cast<command::StripeName&>(gather) = parse_stripe_name(names[0]);
    gather.out = names[1];
    if (gather.out.empty() || gather.out.ends_with('/')) throw usage("gather: OUT is a file's name");
    return gather;
  }

 private:
  static command::GatherOptions read_concat(command::GatherOptions gather, std::vector<std::string> names) {
    if (gather.range) throw usage("gather: --range is of one file, and --concat brings many");
    if (names.size() != 2) throw usage("gather: --concat needs a DIR and an OUT, and nothing else");
    gather.directory = std::move(names[0]);
    gather.out = std::move(names[1]);
    if (gather.out.empty()) throw usage("the OUT is empty");
    validate_directory(gather.directory);
    validate_directory(gather.out);
    return gather;
  }

  command::GatherOptions gather_;
  Texts values_;
};

}  // namespace

std::unique_ptr<CommandLine> gather_line() { return std::make_unique<GatherLine>(); }

}  // namespace argosy::cli
