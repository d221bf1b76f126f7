#include "cli/validate.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <string_view>

#include "base/digest.h"
#include "base/error.h"
#include "cli/hosts.h"
#include "cli/mpiexec.h"
#include "cli/units.h"

namespace argosy::cli {

namespace {

constexpr std::size_t kLongestName = 255;

base::Error usage(std::string message) { return {base::Kind::kUsage, "", 0, std::move(message)}; }

// The last part of a path without trailing slashes; empty for "/", and as given for "." and "..".
std::string_view base_name(std::string_view path) {
  while (path.ends_with('/')) path.remove_suffix(1);
  const std::size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? path : path.substr(slash + 1);
}

bool is_no_name(std::string_view name) { return name.empty() || name == "." || name == ".."; }

void validate_directory(const std::string& directory) {
  if (directory.empty()) throw usage("the DIR is empty");
  for (std::size_t at = directory.find('%'); at != std::string::npos; at = directory.find('%', at + 2)) {
    constexpr std::string_view kKnown = "hr%";
    if (at + 1 >= directory.size() || kKnown.find(directory[at + 1]) == std::string_view::npos) {
      throw usage(fmt::format("in DIR '{}': '{}' is none of %h (host), %r (rank) and %% (a percent sign)",
                              base::printable(directory), base::printable(directory.substr(at, 2))));
    }
  }
}

void validate_name(const command::Sources& options) {
  if (options.files.size() != 1 || !options.files_from.empty()) throw usage("--as names a single FILE, not several");
  if (is_no_name(options.as) || options.as.find('/') != std::string::npos) {
    throw usage(fmt::format("--as: '{}' is no file name", base::printable(options.as)));
  }
  if (options.as.size() > kLongestName) {
    throw usage(fmt::format("--as: a file name has at most {} bytes, not {}", kLongestName, options.as.size()));
  }
}

void validate_standard_input(const command::Sources& options, int reader) {
  const bool as_source = std::find(options.files.begin(), options.files.end(), "-") != options.files.end();
  const bool as_list = options.files_from == "-";
  if (!as_source && !as_list) return;
  if (reader != 0) throw usage(fmt::format("standard input is rank 0's: it can't come --from {}", reader));
  if (!as_source) return;
  if (options.files.size() > 1 || !options.files_from.empty()) {
    throw usage("standard input (-) is sent alone, without other files");
  }
  if (options.as.empty()) throw usage("standard input (-) needs --as NAME");
}

void validate_names(const std::vector<std::string>& files) {
  std::set<std::string_view> names;
  for (const std::string& file : files) {
    if (file.empty()) throw usage("the name of a FILE is empty");
    const std::string_view name = base_name(file);
    if (!is_no_name(name) && !names.insert(name).second) {
      throw usage(fmt::format("two files are called '{}', and both would go to the same place", base::printable(name)));
    }
  }
}

// `reader` is the rank that reads them.
void validate_sources(const command::Sources& sources, int reader) {
  if (sources.from0 && sources.files_from.empty()) throw usage("--from0 goes with --files-from");
  validate_names(sources.files);
  if (!sources.as.empty()) validate_name(sources);
  validate_standard_input(sources, reader);
}

}  // namespace

void validate(const command::CommonOptions& options) {
  const std::int64_t least = kMemoryChunks * base::kLeafSize;
  if (options.memory < least) {
    throw usage(fmt::format("--memory: at least {}, not {}", format_size(least), format_size(options.memory)));
  }
  if (options.chunk_size % base::kLeafSize != 0) {
    throw usage(fmt::format("--chunk-size: a multiple of 256 KiB, not {} bytes", options.chunk_size));
  }
  if (options.chunk_size > options.memory / kMemoryChunks) {
    throw usage(fmt::format("--chunk-size: at most a sixteenth of --memory, which is {}, not {}",
                            format_size(options.memory / kMemoryChunks), format_size(options.chunk_size)));
  }
  if (!options.hosts.empty() && !options.hostfile.empty())
    throw usage("--hosts and --hostfile can't be given together");
  if (!options.hosts.empty()) static_cast<void>(parse_hosts(options.hosts));
  static_cast<void>(split_shell_words(options.launcher_args));
}

void validate(const command::SendOptions& options) {
  if (options.from == options.to) {
    throw usage(fmt::format("--from and --to are both rank {}: a copy within a rank is cp's work", options.from));
  }
  validate_directory(options.directory);
  validate_sources(options, options.from);
}

void validate(const command::BcastOptions& options) {
  if (options.route == core::RouteKind::kRing && !options.shared_source) {
    throw usage("--route ring reads on every node: it goes with --source shared");
  }
  const bool standard_input =
      options.files_from == "-" || std::find(options.files.begin(), options.files.end(), "-") != options.files.end();
  if (options.shared_source && standard_input) throw usage("standard input is rank 0's, and no --source shared");
  validate_directory(options.directory);
  validate_sources(options, 0);
}

}  // namespace argosy::cli
