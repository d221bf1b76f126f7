// `argosy fetch`, as the command line has it.
#include "cli/command_line.h"

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "cli/source_options.h"
#include "cli/units.h"
#include "http/checksum.h"
#include "http/url.h"

namespace argosy::cli {

namespace {

constexpr std::string_view kHelp =
    R"(usage: argosy fetch [OPTIONS] [-i LIST] [URL...] DIR
       argosy fetch [OPTIONS] [-i LIST] --stdout [URL...]

Downloads what stands under the URLs with all ranks at once, into the folder DIR of
one rank (--to R), or of every node (--to all): there nodes pass it on around a
ring, so that the origin is asked once for each byte. Large objects are cut in
ranges over all connections, URLs are dealt as connections become free.

The first answer pins an object by its strong ETag, or Last-Modified, and its size;
whatever comes later must agree, or the object begins again from zero. A file
appears under its name when all of it is there and right, or not at all. Where the
origin still has the ETag that is kept with a file, nothing moves; and where a run
was interrupted, the same URLs to the same DIR go on: of the same object only what
is missing is asked for, and what is there is read and checked.

All ranks together keep to --connections and --rate, and all of them wait when an
origin asks for time (429, 503, Retry-After, RateLimit), also where redirects lead.
A file's name comes from the LIST, from the origin (Content-Disposition) or from
the URL; an origin's replaces only what came from the same URL.

A LIST has a line for each object, "URL", "URL NAME", "URL sha256:HEX" or
"URL NAME sha256:HEX", or is a Metalink (RFC 5854) with mirrors and checksums.
With --stdout the bodies come in the order given; with --json as well, what was
answered and no body. Proxies come from the environment, passwords from ~/.netrc.

In DIR, %h stands for the host's name up to its first dot, %r for the rank and
%% for a percent sign.
)";

constexpr std::string_view kExamples =
    R"(Examples:
  argosy fetch https://example.org/model.bin models/
      by all cores of this machine
  argosy fetch --hosts a,b,c,d --to all https://example.org/model.bin /scratch
      /scratch/model.bin on each of four hosts; each byte leaves the origin once
  argosy fetch --hosts a,b,c,d -i list.txt --rate 50M data/
      a list of URLs, at 50 MB/s of all hosts together
  argosy fetch --stdout https://example.org/tree.tar | tar x
      to standard output
)";

constexpr CommandLine::About kAbout = {"fetch", "download from HTTP origins with all ranks",
                                       "argosy fetch [OPTIONS] [-i LIST] [URL...] DIR", kHelp, kExamples};

constexpr int kMostConnections = 256;

class FetchLine : public CommandLine {
 public:
  const About& about() const override { return kAbout; }

  void add_options(CLI::App& app) override {
    add_text(app, values_, "-i,--input", "LIST",
             "a list of URLs or a Metalink, read on rank 0's\nhost; - is standard input");
    add_text(app, values_, "--to", "WHERE", "the rank that writes, or all: every node (0)");
    app.add_flag("--stdout", fetch_.to_output, "the bodies to standard output, in order");
    add_text(app, values_, "--connections", "N", "to an origin host, of all ranks together (8)");
    add_text(app, values_, "--rate", "RATE", "bytes a second from all origins together\n(no limit)");
    add_text(app, values_, "--retries", "N", "further tries for what fails in a row (5)");
    add_text(app, values_, "--timeout", "SECONDS", "without a byte of an answer (30)");
    app.add_flag("--rename", fetch_.rename, "a second file of a name gets a number");
    add_text(app, values_, "--sha256", "HEX", "what a single object must have");
    add_text(app, values_, "--header-file", "FILE",
             "lines \"Name: value\" for the URLs' own hosts,\nnot for where they redirect to");
    add_text(app, values_, "--cacert", "FILE", "trust these certificates (PEM)");
    add_manifest_option(app, values_, "DIR's");
    app.add_flag("--insecure", fetch_.insecure, "take any certificate");
  }

  command::CommandOptions read(const CLI::App& app, std::vector<std::string> names) const override {
    command::FetchOptions fetch = fetch_;
    convert(values_, app, "--connections", "number of connections (1 to 256)", connections, fetch.connections);
    convert(values_, app, "--rate", "rate (such as 100M or 1.5GB/s)", parse_rate, fetch.rate);
    convert(values_, app, "--retries", "number (0 or more)", parse_count, fetch.retries);
    convert(values_, app, "--timeout", "time in seconds (more than 0)", positive_seconds, fetch.timeout);
    copy(values_, app, "--header-file", fetch.header_file);
    copy(values_, app, "--cacert", fetch.cacert);
    copy(values_, app, "--save-manifest", fetch.save_manifest);
    if (!fetch.save_manifest.empty() && fetch.to_output) {
      throw usage("--save-manifest is of files: it does not go with --stdout");
    }
    copy(values_, app, "--sha256", fetch.sha256);
    std::string list;
    copy(values_, app, "--input", list);
    if (!list.empty()) fetch.lists = {list};
    if (!fetch.sha256.empty() && !http::checksum_from_hex("sha-256", fetch.sha256)) {
      throw usage("--sha256: 64 hexadecimal digits are needed");
    }
    read_to(app, fetch);
    take_names(fetch, std::move(names));
    return fetch;
  }

 private:
  static std::optional<int> connections(const std::string& text) {
    const auto count = parse_count(text);
    return count && *count >= 1 && *count <= kMostConnections ? count : std::nullopt;
  }

  static std::optional<double> positive_seconds(const std::string& text) {
    const auto seconds = parse_seconds(text);
    return seconds && *seconds > 0 ? seconds : std::nullopt;
  }

  void read_to(const CLI::App& app, command::FetchOptions& fetch) const {
    const CLI::Option* to = app.get_option("--to");
    if (to->count() == 0) return;
    if (fetch.to_output) throw usage("--stdout is rank 0's: it does not go with --to");
    if (values_.at("--to") == "all") {
      fetch.to_all = true;
      return;
    }
    convert(values_, app, "--to", "rank (0 or more), or all", parse_count, fetch.to);
  }

  static void take_names(command::FetchOptions& fetch, std::vector<std::string> names) {
    if (!fetch.to_output) {
      if (names.empty()) throw usage("fetch: no URL and no DIR named (argosy fetch --help tells more)");
      fetch.directory = std::move(names.back());
      names.pop_back();
      if (fetch.directory.find("://") != std::string::npos) {
        throw usage("fetch: the last name is a URL; where its file is to go is missing (DIR, or --stdout)");
      }
      validate_directory(fetch.directory);
    }
    fetch.urls = std::move(names);
    if (fetch.urls.empty() && fetch.lists.empty()) throw usage("fetch: a URL or a list (-i) is needed");
    for (const std::string& url : fetch.urls) static_cast<void>(http::parse_url(url));
  }

  command::FetchOptions fetch_;
  Texts values_;
};

}  // namespace

std::unique_ptr<CommandLine> fetch_line() { return std::make_unique<FetchLine>(); }

}  // namespace argosy::cli
