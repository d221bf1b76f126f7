// CLI11 has the table of options, their values and the order of the help; words.h tells the words apart, each command's
// own file says what it takes.
#include "cli/parse.h"

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "cli/command_line.h"
#include "cli/common_options.h"
#include "cli/help.h"
#include "cli/render.h"
#include "cli/words.h"
#include "mpi/session.h"

namespace argosy::cli {

namespace {

// The table of options, and where their values go.
struct Table {
  CLI::App app{"Moves files between the nodes of a cluster over MPI.", "argosy"};
  std::vector<std::unique_ptr<CommandLine>> lines = command_lines();
  command::CommonOptions common;
  Texts texts;

  Table() {
    app.set_help_flag("-h,--help", "this text; behind a command, that command's");
    app.set_version_flag("--version", "", "this program's version, and its MPI's");
    add_common_options(app, common, texts);
    for (const auto& line : lines) {
      CLI::App* command = app.add_subcommand(std::string(line->about().name), std::string(line->about().description));
      line->add_options(*command);
      command->set_help_flag();  // the program's own serves
      command->fallthrough();
    }
  }

  CommandLine* line(const std::string& name) const {
    const auto found =
        std::find_if(lines.begin(), lines.end(), [&](const auto& one) { return one->about().name == name; });
    return found == lines.end() ? nullptr : found->get();
  }
};

Parsed text(std::string out) {
  Parsed parsed;
  parsed.out = std::move(out);
  return parsed;
}

Parsed parse_words(Table& table, const std::vector<std::string>& words) {
  Words sorted = sort_words(table.app, words);
  if (sorted.version && !sorted.help) return text(version_text(mpi::library_version()));
  CommandLine* line = sorted.command == nullptr ? nullptr : table.line(sorted.command->get_name());
  if (sorted.help) return text(line == nullptr ? help_text(table.app) : help_text(table.app, *sorted.command, *line));
  if (line == nullptr) throw usage("no command named (argosy --help lists them)");
  // CLI11 wants the first word last.
  std::vector<std::string> for_table = {sorted.command->get_name()};
  for_table.insert(for_table.end(), sorted.options.begin(), sorted.options.end());
  std::reverse(for_table.begin(), for_table.end());
  table.app.parse(std::move(for_table));
  line->take_values(sorted.values);
  Parsed parsed;
  parsed.options.emplace();
  read_common_options(table.app, table.texts, line->takes_any_chunk_size(), table.common);
  parsed.options->common = table.common;
  parsed.options->command = line->read(*sorted.command, std::move(sorted.names));
  return parsed;
}

// Wrong usage as --json wants it, although the words could not be parsed as a whole.
Parsed wrong_usage(const Table& table, const std::vector<std::string>& words, const base::Failure& failure) {
  const auto end = std::find(words.begin(), words.end(), "--");
  command::CommonOptions how;
  how.json = std::find(words.begin(), end, "--json") != end;
  const auto command =
      std::find_if(words.begin(), end, [&](const std::string& word) { return table.line(word) != nullptr; });
  const int exit = static_cast<int>(base::Kind::kUsage);
  Rendered rendered = render(failed_report(command == end ? "" : *command, exit, failure), how);
  return {std::nullopt, exit, std::move(rendered.out), std::move(rendered.err)};
}

}  // namespace

std::vector<std::unique_ptr<CommandLine>> command_lines() {
  std::vector<std::unique_ptr<CommandLine>> lines;
  lines.push_back(send_line());
  lines.push_back(bcast_line());
  lines.push_back(digest_line());
  lines.push_back(verify_line());
  lines.push_back(clean_line());
  lines.push_back(scatter_line());
  lines.push_back(gather_line());
  lines.push_back(repair_line());
  lines.push_back(fetch_line());
  return lines;
}

Parsed parse(const std::vector<std::string>& words) {
  Table table;
  if (words.empty()) return {std::nullopt, static_cast<int>(base::Kind::kUsage), "", short_usage(table.lines)};
  try {
    return parse_words(table, words);
  } catch (const base::Error& error) {
    return wrong_usage(table, words, error.failure());
  } catch (const CLI::ParseError& error) {
    return wrong_usage(table, words, {base::Kind::kUsage, "", -1, "", 0, error.what()});
  }
}

}  // namespace argosy::cli
