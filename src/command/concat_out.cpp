#include "command/concat_out.h"

#include <algorithm>
#include <cerrno>
#include <climits>
#include <iterator>
#include <optional>
#include <utility>

#include "command/place.h"
#include "command/sources.h"

namespace argosy::command {

namespace {

using base::Kind;

bool has(const std::vector<int>& givers, int giver) {
  return std::find(givers.begin(), givers.end(), giver) != givers.end();
}

std::string without_slashes(std::string path) {
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  return path;
}

std::string with_slash(std::string path) {
  if (!path.ends_with('/')) path += '/';
  return path;
}

// The part of OUT that is the same for every giver: all of it, or what is before the first name with a template.
std::string common_part(const std::string& out) {
  std::string one = expand(out, 0, "a");
  const std::string other = expand(out, 1, "b");
  if (one == other) return one;
  const auto differs = std::mismatch(one.begin(), one.end(), other.begin(), other.end()).first;
  one.erase(differs, one.end());
  one.resize(one.rfind('/') + 1);
  return one;
}

}  // namespace

std::string ConcatOut::path_of(const Gathering& gathering) const {
  return without_slashes(absolute(options_.start_directory, gathering.shown));
}

void ConcatOut::add(int giver) {
  const std::string shown = expand(asked_.out, giver, hosts_[static_cast<std::size_t>(giver)]);
  const auto same = std::find_if(gatherings_.begin(), gatherings_.end(),
                                 [&](const Gathering& other) { return other.shown == shown; });
  Gathering& gathering = same == gatherings_.end() ? gatherings_.emplace_back() : *same;
  gathering.shown = shown;
  gathering.givers.push_back(giver);
}

void ConcatOut::open(std::vector<base::Failure>& failures) {
  manifest_top_ = with_slash(without_slashes(absolute(options_.start_directory, common_part(asked_.out))));
  for (Gathering& gathering : gatherings_) {
    try {
      open(gathering);
    } catch (const base::Error& error) {
      gathering.writer.reset();
      failures.push_back(error.failure());
    }
  }
  if (asked_.save_manifest.empty() || asked_.tree.dry_run) return;
  try {
    // It may be in one of these folders.
    manifest_.emplace(absolute(options_.start_directory, asked_.save_manifest));
  } catch (const base::Error&) {
    for (Gathering& gathering : gatherings_) gathering.writer.reset();
    throw;
  }
}

void ConcatOut::open(Gathering& gathering) {
  const std::string path = path_of(gathering);
  if (std::max(path.size(), gathering.shown.size()) >= PATH_MAX) {
    throw base::system_error(Kind::kDestination, gathering.shown, ENAMETOOLONG, "can't be the destination");
  }
  const bool publish = asked_.tree.publish;
  gathering.dry_run = asked_.tree.dry_run;
  // Without a template it is a folder of the user's that things are put into, and no giver's.
  gathering.top_as_it_is = expand(asked_.out, 0, "a") == expand(asked_.out, 1, "b");
  file::Writer::Settings how;
  how.fsync = options_.common.fsync;
  how.read_back = options_.common.read_back;
  how.leave_same = true;
  how.checksum = asked_.checksum;
  how.metadata = metadata_of(asked_.tree);
  how.publish = publish;
  how.only_ask = gathering.dry_run;
  how.whole = !publish;
  if (publish) {
    gathering.prefix = base_name(path);
    if (!core::is_safe_path(gathering.prefix)) {
      throw base::Error(Kind::kUsage, gathering.shown, 0, "can't be shown by --publish: it is no folder's name");
    }
  }
  if (how.whole && !gathering.dry_run) file::show_left_tree(path, gathering.shown);
  // A folder that is to appear by a rename is made beside its name.
  const std::string folder = path.substr(0, path.size() - gathering.prefix.size());
  if (!asked_.save_manifest.empty()) {
    how.manifest = [this, folder](const core::Entry& entry, const std::optional<base::Digest>& digest) {
      put_in_manifest(folder, entry, digest);
    };
  }
  if (!gathering.dry_run || file::is_folder(folder)) gathering.folder.emplace(folder, 0);
  gathering.writer = std::make_unique<file::Writer>(gathering.folder ? &*gathering.folder : nullptr, how);
  if (how.whole && !gathering.dry_run) gathering.writer->lock_top(!gathering.top_as_it_is);
}

std::string ConcatOut::opened() const {
  std::string opened;
  for (const Gathering& gathering : gatherings_) opened += gathering.writer ? '1' : '0';
  return opened;
}

std::vector<int> ConcatOut::without(const std::string& opened) const {
  std::vector<int> givers;
  for (std::size_t i = 0; i < gatherings_.size(); ++i) {
    const std::vector<int>& its = gatherings_[i].givers;
    if (opened.at(i) == '0') givers.insert(givers.end(), its.begin(), its.end());
  }
  return givers;
}

std::vector<int> ConcatOut::sharing() const {
  std::vector<int> givers;
  for (const Gathering& gathering : gatherings_) {
    if (gathering.is_shared()) givers.insert(givers.end(), gathering.givers.begin(), gathering.givers.end());
  }
  std::sort(givers.begin(), givers.end());
  return givers;
}

std::vector<file::FolderId> ConcatOut::folders() const {
  std::vector<file::FolderId> folders;
  for (const Gathering& gathering : gatherings_) {
    std::string path = path_of(gathering);
    if (asked_.tree.publish) path.resize(path.size() - base_name(path).size());
    if (const auto id = file::folder_id(path)) folders.push_back(*id);
  }
  return folders;
}

std::unique_ptr<core::Sink> ConcatOut::sink_of(int giver, ConcatSink::Purpose purpose) {
  const auto gathering = std::find_if(gatherings_.begin(), gatherings_.end(),
                                      [giver](const Gathering& one) { return has(one.givers, giver); });
  const auto number = std::find(gathering->givers.begin(), gathering->givers.end(), giver) - gathering->givers.begin();
  return std::make_unique<ConcatSink>(*gathering, giver, static_cast<std::uint64_t>(number), hosts_, purpose);
}

bool ConcatOut::finish(bool failed, file::Writer::Finished& finished) {
  for (Gathering& gathering : gatherings_) {
    if (!gathering.writer) continue;
    const file::Writer::Finished one = gathering.writer->finish();
    finished.hard_links += one.hard_links;
    finished.files_lost += one.files_lost;
    finished.bytes_lost += one.bytes_lost;
    finished.failures.add(one.failures);
  }
  bool visible = true;
  const bool all = !failed && finished.failures.empty();
  for (Gathering& gathering : gatherings_) {
    if (!gathering.writer || !gathering.writer->has_trees()) continue;
    try {
      // All or nothing.
      if (!all) {
        throw base::Error(Kind::kDestination, gathering.shown, 0,
                          "nothing is shown, since something failed: run it again, or argosy clean");
      }
      gathering.writer->publish_trees();
    } catch (const base::Error& error) {
      finished.failures.add(error.failure());
      visible = false;
    }
  }
  for (Gathering& gathering : gatherings_) gathering.writer.reset();
  return visible;
}

void ConcatOut::distrust() {
  for (Gathering& gathering : gatherings_) {
    if (gathering.writer) gathering.writer->distrust();
    gathering.writer.reset();
    if (gathering.folder) gathering.folder->remove_made();
  }
}

void ConcatOut::close(bool arrived) {
  for (Gathering& gathering : gatherings_) {
    if (!gathering.folder || gathering.dry_run) continue;
    if (!arrived) {
      gathering.folder->remove_made();
    } else if (options_.common.fsync) {
      gathering.folder->sync();
    }
  }
}

// `folder` is the writer's.
void ConcatOut::put_in_manifest(const std::string& folder, const core::Entry& entry,
                                const std::optional<base::Digest>& digest) {
  const auto beneath = [&](const std::string& path) {
    const std::string whole = path.empty() ? without_slashes(folder) : with_slash(folder) + path;
    return whole.starts_with(manifest_top_) ? whole.substr(manifest_top_.size()) : std::string();
  };
  core::Entry moved = entry;
  moved.path = beneath(entry.path);
  if (entry.type == core::Type::kHardLink) moved.link = beneath(entry.link);
  // The user's own folder, that things were put into.
  if (moved.path.empty()) return;
  manifest_->add(moved, digest);
  manifest_->write_out();
}

void ConcatOut::save_manifest() {
  if (manifest_) manifest_->finish();
}

std::vector<std::string> ConcatOut::take_names() {
  std::vector<std::string> names;
  for (Gathering& gathering : gatherings_) {
    const std::lock_guard lock(gathering.names_mutex);
    std::move(gathering.names.begin(), gathering.names.end(), std::back_inserter(names));
    gathering.names.clear();
  }
  return names;
}

}  // namespace argosy::command
