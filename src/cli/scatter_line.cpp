// `argosy scatter`, as the command line has it.
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
    R"(usage: argosy scatter [OPTIONS] FILE... DIR
       argosy scatter [OPTIONS] --files-from LIST [FILE...] DIR

Cuts each file of rank 0's host into chunks and deals them to the other ranks,
the workers: chunk i to worker i modulo their number. Each worker writes its
share into DIR/NAME.argosy and acknowledges every chunk; --verbose shows each
acknowledgement. argosy gather brings the file back.

With --parity K any K workers' shares may be lost: to every few chunks K more
are dealt, from which lost ones are made again (Reed-Solomon).

A worker that can't store a chunk has it, and the rest of its share, taken by
the others; only if nobody can take it does scatter fail, and leave nothing.
An old stripe of that name is replaced as a whole.

--chunk-size may be any size from 1 byte (1MiB where none is given). In DIR, %h
stands for the host's name up to its first dot, %r for the rank and %% for a
percent sign. FILE, --as and names are as with argosy send. FILE may be a
folder: it is striped as it is, with all that is in it and all attributes. Again
it moves nothing where all shares of it, as it is now, are in place.
)";

constexpr std::string_view kExamples =
    R"(Examples:
  argosy scatter --hosts a,b,c,d,e --parity 1 big.bin /scratch
      shares on b, c, d and e, one of which may be lost
  argosy scatter -n 4 --layout chunks --chunk-size 64KiB big.bin '/tmp/worker%r'
      on this machine, a folder for each worker and a file for each chunk
)";

constexpr CommandLine::About kAbout = {"scatter", "stripe files over many ranks",
                                       "argosy scatter [OPTIONS] FILE... DIR", kHelp, kExamples};

class ScatterLine : public CommandLine {
 public:
  const About& about() const override { return kAbout; }
  bool takes_any_chunk_size() const override { return true; }

  void add_options(CLI::App& app) override {
    add_text(app, values_, "--parity", "K", "how many workers' shares may be lost (0)");
    add_text(app, values_, "--layout", "LAYOUT",
             "stripe: a file for each worker; chunks: a file\nfor each chunk (stripe)");
    app.add_flag("--root-too", scatter_.root_too, "rank 0 keeps a share as well");
    app.add_flag("--checksum", scatter_.checksum, "a folder is in place when digests agree, not\nsizes and times");
    add_source_options(app, values_, scatter_.from0);
    add_select_options(app, values_, scatter_.tree);
    app.add_flag("--dry-run", scatter_.tree.dry_run, "move nothing; list what would be");
    add_manifest_option(app, values_);
  }

  void take_values(const std::vector<std::pair<std::string, std::string>>& values) override {
    scatter_.tree.rules = select_rules(values);
  }

  command::CommandOptions read(const CLI::App& app, std::vector<std::string> names) const override {
    command::ScatterOptions scatter = scatter_;
    const auto parity = [](const std::string& text) {
      const auto count = parse_count(text);
      return count && *count <= core::kMostParity ? count : std::nullopt;
    };
    const auto layout = [](const std::string& text) -> std::optional<core::StripeLayout> {
      if (text == "stripe") return core::StripeLayout::kStripe;
      if (text == "chunks") return core::StripeLayout::kChunks;
      return std::nullopt;
    };
    convert(values_, app, "--parity", "number of shares (0 to 64)", parity, scatter.parity);
    convert(values_, app, "--layout", "layout (stripe or chunks)", layout, scatter.layout);
    scatter.directory = take_sources(app, values_, std::move(names), scatter);
    validate_directory(scatter.directory);
    validate_sources(scatter, 0);
    return scatter;
  }

 private:
  command::ScatterOptions scatter_;
  Texts values_;
};

}  // namespace

std::unique_ptr<CommandLine> scatter_line() { return std::make_unique<ScatterLine>(); }

}  // namespace argosy::cli
