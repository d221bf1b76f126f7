#include "command/sources.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <cerrno>
#include <set>
#include <utility>

#include "base/error.h"
#include "command/place.h"
#include "core/manifest.h"
#include "file/list_file.h"

namespace argosy::command {

namespace {

using base::Kind;

constexpr std::size_t kLongestName = 255;

std::vector<std::string> read_sources(const Sources& sources, const std::string& start_directory,
                                      const std::function<base::Fd()>& open_standard_input) {
  if (sources.files_from == "-") return file::read_list(open_standard_input(), "standard input", sources.from0);
  const std::string path = absolute(start_directory, sources.files_from);
  const base::Fd list(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!list.valid()) throw base::system_error(Kind::kSource, sources.files_from, errno, "the list can't be read");
  return file::read_list(list, sources.files_from, sources.from0);
}

}  // namespace

std::vector<file::Named> resolve(const Sources& sources, const std::string& start_directory,
                                 const std::function<base::Fd()>& open_standard_input) {
  std::vector<std::string> paths = sources.files;
  if (!sources.files_from.empty()) {
    const std::vector<std::string> listed = read_sources(sources, start_directory, open_standard_input);
    paths.insert(paths.end(), listed.begin(), listed.end());
    if (paths.empty()) throw base::Error(Kind::kUsage, sources.files_from, 0, "names no file");
  }
  if (!sources.as.empty() && paths.size() > 1) {
    throw base::Error(Kind::kUsage, {}, 0, fmt::format("--as names one file, and there are {} sources", paths.size()));
  }
  std::vector<file::Named> files;
  std::set<std::string> names;
  for (std::size_t i = 0; i < paths.size(); ++i) {
    file::Named named;
    named.shown = paths[i];
    // In a list "-" is a file of that name.
    named.standard_input = paths[i] == "-" && i < sources.files.size();
    named.path = absolute(start_directory, paths[i]);
    named.name = sources.as.empty() ? base_name(paths[i]) : sources.as;
    // No file has a longer name; that this one is missing is told under what fits.
    if (named.name.size() > kLongestName) named.name.resize(kLongestName);
    if (!core::is_safe_path(named.name)) {
      throw base::Error(Kind::kUsage, paths[i], 0, "gives no name for the target; use --as");
    }
    if (!names.insert(named.name).second) {
      throw base::Error(Kind::kUsage, paths[i], 0,
                        "a second source has this name, and only one could have it at the destination");
    }
    files.push_back(std::move(named));
  }
  return files;
}

file::Metadata metadata_of(const TreeOptions& tree) {
  file::Metadata metadata;
  metadata.owner = !tree.no_owner;
  metadata.mode = !tree.no_mode;
  metadata.times = !tree.no_times;
  metadata.attributes = !tree.no_xattrs;
  return metadata;
}

file::Selection selection_of(const TreeOptions& tree, const std::string& start_directory, bool from0,
                             const std::function<base::Fd()>& open_standard_input) {
  file::Selection selection;
  selection.one_file_system = tree.one_file_system;
  selection.metadata = metadata_of(tree);
  for (const SelectRule& rule : tree.rules) {
    if (rule.kind != SelectRule::Kind::kExcludeFrom) {
      const std::string wrong = selection.filter.add_rule(rule.text, rule.kind == SelectRule::Kind::kInclude);
      if (!wrong.empty()) throw base::Error(Kind::kUsage, rule.text, 0, wrong);
      continue;
    }
    const bool standard_input = rule.text == "-";
    if (standard_input && !open_standard_input) throw base::Error(Kind::kUsage, "-", 0, "is no list of patterns here");
    const base::Fd list = standard_input
                              ? open_standard_input()
                              : base::Fd(open(absolute(start_directory, rule.text).c_str(), O_RDONLY | O_CLOEXEC));
    if (!list.valid()) throw base::system_error(Kind::kSource, rule.text, errno, "the list can't be read");
    const std::string shown = standard_input ? "standard input" : rule.text;
    const std::string wrong = selection.filter.add_list(file::read_text(list, shown), from0);
    if (!wrong.empty()) throw base::Error(Kind::kUsage, shown, 0, wrong);
  }
  return selection;
}

}  // namespace argosy::command
