#include "cli/common_options.h"

#include <optional>

#include "base/digest.h"
#include "cli/hosts.h"
#include "cli/mpiexec.h"
#include "cli/units.h"

namespace argosy::cli {

namespace {

const std::map<std::string, command::ProgressStyle>& progress_styles() {
  static const std::map<std::string, command::ProgressStyle> kStyles = {{"auto", command::ProgressStyle::kAuto},
                                                                        {"bar", command::ProgressStyle::kBar},
                                                                        {"plain", command::ProgressStyle::kPlain},
                                                                        {"none", command::ProgressStyle::kNone}};
  return kStyles;
}

void validate(const command::CommonOptions& options, bool any_chunk_size) {
  const std::int64_t least = kMemoryChunks * base::kLeafSize;
  if (options.memory < least) {
    throw usage(fmt::format("--memory: at least {}, not {}", format_size(least), format_size(options.memory)));
  }
  if (!any_chunk_size && options.chunk_size % base::kLeafSize != 0) {
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

}  // namespace

void add_common_options(CLI::App& app, command::CommonOptions& common, Texts& texts) {
  add_text(app, texts, "-n,--ranks", "N", "start N ranks (send: 2; else one a host, or one\na core, 2 to 4)");
  add_text(app, texts, "--hosts", "LIST",
           "run on these hosts; a,b:2 is one rank on a\nand two on b, and rank 0 is on the first");
  add_text(app, texts, "--hostfile", "FILE",
           "the same from a file with lines like HOST,\nHOST:RANKS or HOST slots=RANKS");
  add_text(app, texts, "--launcher-args", "WORDS", "further arguments for mpiexec, all in one\nword: \"-iface ib0\"");
  add_text(app, texts, "--memory", "SIZE", "buffers of all ranks of a node together\n(64MiB)");
  add_text(app, texts, "--chunk-size", "SIZE",
           "what is read, sent and written at once: a\nmultiple of 256KiB (scatter: any size), at most\na sixteenth of "
           "--memory");
  add_text(app, texts, "--bwlimit", "RATE", "bytes a second for each node and direction,\nsuch as 100M (no limit)");
  add_text(app, texts, "--stall-timeout", "SECONDS", "give up when nothing has moved for so long\n(60; 0: never)");
  app.add_flag("--fsync", common.fsync, "have files on disk before they appear under\ntheir names");
  app.add_flag("--read-back", common.read_back, "read what was written, and compare");
  add_text(app, texts, "--progress", "STYLE", "auto, bar, plain (a line every 5 seconds)\nor none");
  app.add_flag("--json", common.json, "print the report as one JSON document");
  app.add_flag("-q,--quiet", common.quiet, "no result line and no progress; errors and\nwarnings only");
  app.add_flag("-v,--verbose", common.verbose, "show what the launcher and the ranks print");
}

void read_common_options(const CLI::App& app, const Texts& texts, bool any_chunk_size, command::CommonOptions& common) {
  const auto positive = [](const std::string& text) {
    const auto count = parse_count(text);
    return count && *count > 0 ? count : std::nullopt;
  };
  const auto positive_size = [](const std::string& text) {
    const auto size = parse_size(text);
    return size && *size > 0 ? size : std::nullopt;
  };
  const auto style = [](const std::string& text) -> std::optional<command::ProgressStyle> {
    const auto known = progress_styles().find(text);
    return known == progress_styles().end() ? std::nullopt : std::optional(known->second);
  };
  convert(texts, app, "--ranks", "number of ranks (1 or more)", positive, common.ranks);
  convert(texts, app, "--memory", "size (such as 64MiB or 1.5G)", positive_size, common.memory);
  convert(texts, app, "--chunk-size", "size (such as 512KiB or 4MiB)", positive_size, common.chunk_size);
  convert(texts, app, "--bwlimit", "rate (such as 100M or 1.5GB/s)", parse_rate, common.bwlimit);
  convert(texts, app, "--stall-timeout", "time in seconds (0 or more)", parse_seconds, common.stall_timeout);
  convert(texts, app, "--progress", "style (auto, bar, plain or none)", style, common.progress);
  copy(texts, app, "--hosts", common.hosts);
  copy(texts, app, "--hostfile", common.hostfile);
  common.launcher_args = texts.at("--launcher-args");
  validate(common, any_chunk_size);
}

}  // namespace argosy::cli
