#include "cli/source_options.h"

#include <algorithm>
#include <set>
#include <string_view>
#include <utility>

#include "core/filter.h"

namespace argosy::cli {

namespace {

constexpr std::size_t kLongestName = 255;

// The last part of a path without trailing slashes; empty for "/", and as given for "." and "..".
std::string_view base_name(std::string_view path) {
  while (path.ends_with('/')) path.remove_suffix(1);
  const std::size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? path : path.substr(slash + 1);
}

bool is_no_name(std::string_view name) { return name.empty() || name == "." || name == ".."; }

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
  const auto as_rules = std::count_if(options.tree.rules.begin(), options.tree.rules.end(), [](const auto& rule) {
    return rule.kind == command::SelectRule::Kind::kExcludeFrom && rule.text == "-";
  });
  if (!as_source && !as_list && as_rules == 0) return;
  if (reader != 0) throw usage(fmt::format("standard input is rank 0's: it can't come --from {}", reader));
  if (as_source + as_list + as_rules > 1) throw usage("standard input (-) can be only one thing at a time");
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

}  // namespace

void add_source_options(CLI::App& command, Texts& texts, bool& from0) {
  add_text(command, texts, "--as", "NAME", "the name at the destination, for a single FILE");
  add_text(command, texts, "--files-from", "LIST",
           "more FILEs from a list, one a line, that is\nread on the same host; - is standard input");
  command.add_flag("--from0", from0, "names and patterns in LISTs end in NUL, not in\nnewline");
}

void add_manifest_option(CLI::App& command, Texts& texts, const char* where) {
  add_text(
      command, texts, "--save-manifest", "FILE",
      fmt::format("write what is moved, with digests, on {}\nhost, for `argosy verify --manifest`", where).c_str());
}

void add_select_options(CLI::App& command, Texts& texts, command::TreeOptions& tree) {
  add_text(command, texts, "--exclude", "PATTERN",
           "leave out what matches, in folders too; patterns\nare rsync's, and the first that matches decides");
  add_text(command, texts, "--include", "PATTERN", "do not leave out what matches, whatever a later\n--exclude says");
  add_text(command, texts, "--exclude-from", "LIST", "patterns from a list, one a line, that is read\nwhere FILE is");
  command.add_flag("--one-file-system", tree.one_file_system, "do not go into what is mounted in a folder");
}

void add_tree_options(CLI::App& command, Texts& texts, command::TreeOptions& tree) {
  add_select_options(command, texts, tree);
  command.add_flag("--dry-run", tree.dry_run, "move nothing; list what would be");
  command.add_flag("--publish", tree.publish, "show a folder, which must be new, when all of\nit is there");
  add_metadata_options(command, tree);
}

void add_metadata_options(CLI::App& command, command::TreeOptions& tree) {
  command.add_flag("--no-owner", tree.no_owner, "leave owner and group to the destination");
  command.add_flag("--no-mode", tree.no_mode, "leave permissions to the destination");
  command.add_flag("--no-times", tree.no_times, "leave modification times to the destination");
  command.add_flag("--no-xattrs", tree.no_xattrs, "move no extended attributes and no ACLs");
}

std::vector<command::SelectRule> select_rules(const std::vector<std::pair<std::string, std::string>>& values) {
  using Kind = command::SelectRule::Kind;
  std::vector<command::SelectRule> rules;
  for (const auto& [name, value] : values) {
    if (name == "--exclude-from") {
      rules.push_back({Kind::kExcludeFrom, value});
    } else if (name == "--exclude" || name == "--include") {
      const std::string wrong = core::Filter().add_rule(value, false);
      if (!wrong.empty()) throw usage(fmt::format("{}: '{}': {}", name, base::printable(value), wrong));
      rules.push_back({name == "--include" ? Kind::kInclude : Kind::kExclude, value});
    }
  }
  return rules;
}

std::string take_sources(const CLI::App& command, const Texts& texts, std::vector<std::string> names,
                         command::Sources& sources) {
  copy(texts, command, "--as", sources.as);
  copy(texts, command, "--files-from", sources.files_from);
  copy(texts, command, "--save-manifest", sources.save_manifest);
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

void validate_sources(const command::Sources& sources, int reader) {
  const bool has_patterns = std::any_of(sources.tree.rules.begin(), sources.tree.rules.end(), [](const auto& rule) {
    return rule.kind == command::SelectRule::Kind::kExcludeFrom;
  });
  if (sources.from0 && sources.files_from.empty() && !has_patterns)
    throw usage("--from0 goes with --files-from or --exclude-from");
  validate_names(sources.files);
  if (!sources.as.empty()) validate_name(sources);
  validate_standard_input(sources, reader);
}

}  // namespace argosy::cli
