// `argosy clean`, as the command line has it.
#include <memory>
#include <string>
#include <utility>

#include "cli/command_line.h"
#include "cli/source_options.h"

namespace argosy::cli {

namespace {

constexpr std::string_view kHelp =
    R"(usage: argosy clean [OPTIONS] DIR

Takes away what interrupted runs have left in DIR and the folders in it, on
every node: parts of files with their journals, locks that nobody holds,
folders that --publish never came to show, unfinished shares and downloads. A
later run would have gone on from there, or begun again. What a run that is under way works on stays, and is told with exit
code 1 (4 where there was nothing else). In DIR, %h and %r are as with send.
)";

constexpr std::string_view kExamples =
    R"(Examples:
  argosy clean --hosts a,b,c /scratch
)";

constexpr CommandLine::About kAbout = {"clean", "take away what interrupted runs have left",
                                       "argosy clean [OPTIONS] DIR", kHelp, kExamples};

class CleanLine : public CommandLine {
 public:
  const About& about() const override { return kAbout; }
  void add_options(CLI::App& /*app*/) override {}
  command::CommandOptions read(const CLI::App& /*app*/, std::vector<std::string> names) const override {
    if (names.size() != 1) throw usage("clean: one DIR is needed (argosy clean --help tells more)");
    command::CleanOptions clean;
    clean.directory = std::move(names[0]);
    validate_directory(clean.directory);
    return clean;
  }
};

}  // namespace

std::unique_ptr<CommandLine> clean_line() { return std::make_unique<CleanLine>(); }

}  // namespace argosy::cli
