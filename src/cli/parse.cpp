// CLI11 has the table of options, their values and the order of the help. Which words are options at all is decided
// here: names are bytes, and CLI11 takes "[a]" for a list, "++" for the end of a command, "-5" for a name and an empty
// value for none.
#include "cli/parse.h"

#include <fmt/format.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "cli/help.h"
#include "cli/render.h"
#include "cli/units.h"
#include "cli/validate.h"
#include "mpi/session.h"

namespace argosy::cli {

namespace {

base::Error usage(std::string message) { return {base::Kind::kUsage, "", 0, std::move(message)}; }

const std::map<std::string, command::ProgressStyle>& progress_styles() {
  static const std::map<std::string, command::ProgressStyle> kStyles = {{"auto", command::ProgressStyle::kAuto},
                                                                        {"bar", command::ProgressStyle::kBar},
                                                                        {"plain", command::ProgressStyle::kPlain},
                                                                        {"none", command::ProgressStyle::kNone}};
  return kStyles;
}

// Option values as text; those with a unit are turned into numbers once all are known.
using Texts = std::map<std::string, std::string>;

CLI::Option* add_text(CLI::App& app, Texts& texts, const std::string& names, const char* value, const char* help) {
  const std::string key = names.substr(names.rfind("--"));
  return app.add_option(names, texts[key], help)
      ->type_name(value)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
}

void add_common_options(CLI::App& app, command::CommonOptions& common, Texts& texts) {
  add_text(app, texts, "-n,--ranks", "N", "start N ranks (send: 2; else one a host, or one\na core, 2 to 4)");
  add_text(app, texts, "--hosts", "LIST",
           "run on these hosts; a,b:2 is one rank on a\nand two on b, and rank 0 is on the first");
  add_text(app, texts, "--hostfile", "FILE",
           "the same from a file with lines like HOST,\nHOST:RANKS or HOST slots=RANKS");
  add_text(app, texts, "--launcher-args", "WORDS", "further arguments for mpiexec, all in one\nword: \"-iface ib0\"");
  add_text(app, texts, "--memory", "SIZE", "buffers of all ranks of a node together\n(64MiB)");
  add_text(app, texts, "--chunk-size", "SIZE",
           "what is read, sent and written at once: a\nmultiple of 256KiB, at most a sixteenth of\n--memory");
  add_text(app, texts, "--bwlimit", "RATE", "bytes a second for each node and direction,\nsuch as 100M (no limit)");
  add_text(app, texts, "--stall-timeout", "SECONDS", "give up when nothing has moved for so long\n(60; 0: never)");
  app.add_flag("--fsync", common.fsync, "have files on disk before they appear under\ntheir names");
  app.add_flag("--read-back", common.read_back, "read what was written, and compare");
  add_text(app, texts, "--progress", "STYLE", "auto, bar, plain (a line every 5 seconds)\nor none");
  app.add_flag("--json", common.json, "print the report as one JSON document");
  app.add_flag("-q,--quiet", common.quiet, "no result line and no progress; errors only");
  app.add_flag("-v,--verbose", common.verbose, "show what the launcher and the ranks print");
}

void add_source_options(CLI::App& command, Texts& texts, bool& from0) {
  add_text(command, texts, "--as", "NAME", "the name at the destination, for a single FILE");
  add_text(command, texts, "--files-from", "LIST",
           "more FILEs from a list, one a line, that is\nread on the same host; - is standard input");
  command.add_flag("--from0", from0, "names in LIST end in NUL, not in newline");
}

CLI::App* add_send(CLI::App& app, command::SendOptions& options, Texts& texts) {
  CLI::App* send = app.add_subcommand("send", "move files from one rank's host to another's");
  add_text(*send, texts, "--from", "R", "the rank that reads (0)");
  add_text(*send, texts, "--to", "R", "the rank that writes (1)");
  add_source_options(*send, texts, options.from0);
  return send;
}

CLI::App* add_bcast(CLI::App& app, command::BcastOptions& bcast, Texts& texts) {
  CLI::App* command = app.add_subcommand("bcast", "put files of rank 0's host on every node");
  add_text(*command, texts, "--route", "ROUTE", "auto, chain, two-tree or ring: the way from\nnode to node (auto)");
  add_text(*command, texts, "--source", "WHERE",
           "root: only rank 0 has the FILEs; shared: every\nnode sees them, and each reads a part (root)");
  add_text(*command, texts, "--link-rate", "RATE", "what a card carries, for auto's predictions\n(10 Gbit/s: 1.25GB)");
  command->add_flag("--checksum", bcast.checksum, "a file is in place when its digest agrees, not\nits size and time");
  command->add_flag("--explain", bcast.explain,
                    "move nothing; show what each route is\npredicted to take, and the choice");
  add_source_options(*command, texts, bcast.from0);
  return command;
}

// The words of a command line, told apart.
struct Words {
  std::vector<std::string> options;  // as CLI11 is to see them: "--name", or "--name" and its value
  bool help = false;
  bool version = false;
  CLI::App* command = nullptr;
  std::vector<std::string> names;
};

class Sorter {
 public:
  explicit Sorter(CLI::App& app) : app_(app) {}

  // Throws base::Error (kUsage).
  Words sort(const std::vector<std::string>& words);

 private:
  const CLI::Option& find(const std::string& name) const;
  // Notes the option; true where it takes a value.
  bool take_option(const std::string& name);
  void take_long(const std::string& word);
  void take_short(const std::string& word);
  void take_value(const std::string& name);
  void take_name(const std::string& word);

  CLI::App& app_;
  Words sorted_;
  std::vector<std::string>::const_iterator next_;
  std::vector<std::string>::const_iterator end_;
};

const CLI::Option& Sorter::find(const std::string& name) const {
  const CLI::Option* option = app_.get_option_no_throw(name);
  if (option == nullptr && sorted_.command != nullptr) option = sorted_.command->get_option_no_throw(name);
  if (option != nullptr) return *option;
  for (const CLI::App* command : app_.get_subcommands([](const CLI::App*) { return true; })) {
    if (sorted_.command == nullptr && command->get_option_no_throw(name) != nullptr) {
      throw usage(fmt::format("{} belongs behind '{}'", base::printable(name), command->get_name()));
    }
  }
  throw usage(fmt::format("unknown option {} (a name that begins with '-' goes behind --)", base::printable(name)));
}

bool Sorter::take_option(const std::string& name) {
  const CLI::Option& option = find(name);
  sorted_.options.push_back(name);
  sorted_.help = sorted_.help || option.check_name("--help");
  sorted_.version = sorted_.version || option.check_name("--version");
  return option.get_items_expected_max() > 0;
}

void Sorter::take_value(const std::string& name) {
  if (next_ == end_) throw usage(fmt::format("{} needs a value", name));
  sorted_.options.push_back(*next_++);
}

void Sorter::take_long(const std::string& word) {
  const std::size_t equals = word.find('=');
  const std::string name = word.substr(0, equals);
  const bool has_value = take_option(name);
  if (equals == std::string::npos) {
    if (has_value) take_value(name);
  } else if (has_value) {
    sorted_.options.push_back(word.substr(equals + 1));
  } else {
    throw usage(fmt::format("{} takes no value", name));
  }
}

// "-qv", "-n4", "-n 4".
void Sorter::take_short(const std::string& word) {
  for (std::size_t i = 1; i < word.size(); ++i) {
    const std::string name = {'-', word[i]};
    if (!take_option(name)) continue;
    if (i + 1 == word.size()) return take_value(name);
    sorted_.options.push_back(word.substr(i + 1));
    return;
  }
}

void Sorter::take_name(const std::string& word) {
  if (sorted_.command != nullptr) {
    sorted_.names.push_back(word);
    return;
  }
  const auto named = app_.get_subcommands([&](const CLI::App* one) { return one->get_name() == word; });
  if (named.empty()) throw usage(fmt::format("unknown command '{}' (argosy --help lists them)", base::printable(word)));
  sorted_.command = named[0];
}

Words Sorter::sort(const std::vector<std::string>& words) {
  next_ = words.begin();
  end_ = words.end();
  bool options_end = false;
  while (next_ != end_) {
    const std::string& word = *next_++;
    if (options_end || word.size() < 2 || word[0] != '-') {
      take_name(word);
    } else if (word == "--") {
      options_end = true;
    } else if (word[1] == '-') {
      take_long(word);
    } else {
      take_short(word);
    }
  }
  return std::move(sorted_);
}

// The table of options, and where their values go.
struct Table {
  CLI::App app{"Moves files between the nodes of a cluster over MPI.", "argosy"};
  CLI::App* send = nullptr;
  CLI::App* bcast = nullptr;
  command::CommonOptions common;
  command::SendOptions send_options;
  command::BcastOptions bcast_options;
  Texts texts;

  Table() {
    app.set_help_flag("-h,--help", "this text; behind a command, that command's");
    app.set_version_flag("--version", "", "this program's version, and its MPI's");
    add_common_options(app, common, texts);
    send = add_send(app, send_options, texts);
    bcast = add_bcast(app, bcast_options, texts);
    for (CLI::App* command : {send, bcast}) {
      command->set_help_flag();  // the program's own serves
      command->fallthrough();
    }
  }
};

template <typename Value, typename Parse>
void convert(const Texts& texts, const CLI::App& app, const std::string& name, const char* what, Parse parse,
             Value& value) {
  const CLI::Option* option = app.get_option_no_throw(name);
  if (option == nullptr || option->count() == 0) return;
  const std::string& text = texts.at(name);
  const auto parsed = parse(text);
  if (!parsed) throw usage(fmt::format("{}: '{}' is no {}", name, base::printable(text), what));
  value = *parsed;
}

void copy(const Texts& texts, const CLI::App& app, const std::string& name, std::string& value) {
  if (app.get_option(name)->count() == 0) return;
  value = texts.at(name);
  if (value.empty()) throw usage(fmt::format("{}: the value is empty", name));
}

command::CommonOptions common_options(const Table& table) {
  command::CommonOptions common = table.common;
  const Texts& texts = table.texts;
  const CLI::App& app = table.app;
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
  validate(common);
  return common;
}

// The sources that `command`'s options and names give; returns the last name, the folder.
std::string take_sources(const Table& table, const CLI::App& command, std::vector<std::string> names,
                         command::Sources& sources) {
  copy(table.texts, command, "--as", sources.as);
  copy(table.texts, command, "--files-from", sources.files_from);
  const std::size_t least = sources.files_from.empty() ? 2 : 1;
  if (names.size() < least) {
    const std::string& name = command.get_name();
    throw usage(names.empty() ? fmt::format("{0}: no FILE and no DIR named (argosy {0} --help tells more)", name)
                              : fmt::format("{}: a FILE and a DIR are needed, and only one name is given", name));
  }
  std::string directory = std::move(names.back());
  names.pop_back();
  sources.files = std::move(names);
  return directory;
}

command::SendOptions send_options(const Table& table, std::vector<std::string> names) {
  command::SendOptions send = table.send_options;
  convert(table.texts, *table.send, "--from", "rank (0 or more)", parse_count, send.from);
  convert(table.texts, *table.send, "--to", "rank (0 or more)", parse_count, send.to);
  send.directory = take_sources(table, *table.send, std::move(names), send);
  validate(send);
  return send;
}

command::BcastOptions bcast_options(const Table& table, std::vector<std::string> names) {
  command::BcastOptions bcast = table.bcast_options;
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
  convert(table.texts, *table.bcast, "--route", "route (auto, chain, two-tree or ring)", route, bcast.route);
  convert(table.texts, *table.bcast, "--source", "place (root or shared)", source, bcast.shared_source);
  convert(table.texts, *table.bcast, "--link-rate", "rate (such as 1.25G or 100MB/s)", parse_rate, bcast.link_rate);
  bcast.directory = take_sources(table, *table.bcast, std::move(names), bcast);
  validate(bcast);
  return bcast;
}

Parsed text(std::string out) {
  Parsed parsed;
  parsed.out = std::move(out);
  return parsed;
}

Parsed parse_words(Table& table, const std::vector<std::string>& words) {
  Words sorted = Sorter(table.app).sort(words);
  if (sorted.help) return text(help_text(table.app, sorted.command));
  if (sorted.version) return text(version_text(mpi::library_version()));
  if (sorted.command == nullptr) throw usage("no command named (argosy --help lists them)");
  // CLI11 wants the first word last.
  std::vector<std::string> for_table = {sorted.command->get_name()};
  for_table.insert(for_table.end(), sorted.options.begin(), sorted.options.end());
  std::reverse(for_table.begin(), for_table.end());
  table.app.parse(std::move(for_table));
  Parsed parsed;
  parsed.options.emplace();
  parsed.options->common = common_options(table);
  if (sorted.command == table.send) {
    parsed.options->command = send_options(table, std::move(sorted.names));
  } else {
    parsed.options->command = bcast_options(table, std::move(sorted.names));
  }
  return parsed;
}

// Wrong usage as --json wants it, although the words could not be parsed as a whole.
Parsed wrong_usage(const std::vector<std::string>& words, const base::Failure& failure) {
  const auto end = std::find(words.begin(), words.end(), "--");
  command::CommonOptions how;
  how.json = std::find(words.begin(), end, "--json") != end;
  const auto command =
      std::find_if(words.begin(), end, [](const std::string& word) { return word == "send" || word == "bcast"; });
  const int exit = static_cast<int>(base::Kind::kUsage);
  Rendered rendered = render(failed_report(command == end ? "" : *command, exit, failure), how);
  return {std::nullopt, exit, std::move(rendered.out), std::move(rendered.err)};
}

}  // namespace

Parsed parse(const std::vector<std::string>& words) {
  if (words.empty()) return {std::nullopt, static_cast<int>(base::Kind::kUsage), "", short_usage()};
  Table table;
  try {
    return parse_words(table, words);
  } catch (const base::Error& error) {
    return wrong_usage(words, error.failure());
  } catch (const CLI::ParseError& error) {
    return wrong_usage(words, {base::Kind::kUsage, "", -1, "", 0, error.what()});
  }
}

}  // namespace argosy::cli
