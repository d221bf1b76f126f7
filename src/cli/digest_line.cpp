// `argosy digest`, as the command line has it.
#include <memory>
#include <string>
#include <utility>

#include "cli/command_line.h"

namespace argosy::cli {

namespace {

constexpr std::string_view kHelp =
    R"(usage: argosy digest [OPTIONS] PATH...

Prints a line with its digest for each file, and for each file in a folder, in
the order of their names. The files are spread over the ranks, and with --xxh3
the parts of a large one: every rank has to see each PATH. Lines look as
sha256sum's, and those of --sha256 are what `sha256sum -c` takes.

--xxh3 is the digest that `argosy send` prints (doc/wire_format.md), not
xxhsum's. It finds damage, not forgery.
)";

constexpr std::string_view kExamples =
    R"(Examples:
  argosy digest --sha256 dataset > dataset.sha256
      and later: sha256sum -c dataset.sha256
  argosy digest --hosts a,b,c,d /shared/dataset
      with the cores of four hosts
)";

constexpr CommandLine::About kAbout = {"digest", "print the digests of files", "argosy digest [OPTIONS] PATH...", kHelp,
                                       kExamples};

class DigestLine : public CommandLine {
 public:
  const About& about() const override { return kAbout; }

  void add_options(CLI::App& app) override {
    app.add_flag("--xxh3", xxh3_, "argosy's own digest, the fastest (this is the\ndefault)");
    app.add_flag("--sha256", digest_.sha256, "SHA-256");
  }

  command::CommandOptions read(const CLI::App& /*app*/, std::vector<std::string> names) const override {
    command::DigestOptions digest = digest_;
    if (xxh3_ && digest.sha256) throw usage("--xxh3 and --sha256 can't be given together");
    if (names.empty()) throw usage("digest: no PATH named (argosy digest --help tells more)");
    for (const std::string& name : names) {
      if (name.empty()) throw usage("the name of a PATH is empty");
    }
    digest.paths = std::move(names);
    return digest;
  }

 private:
  command::DigestOptions digest_;
  bool xxh3_ = false;
};

}  // namespace

std::unique_ptr<CommandLine> digest_line() { return std::make_unique<DigestLine>(); }

}  // namespace argosy::cli
