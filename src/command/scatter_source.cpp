#include "command/scatter_source.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <random>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/digest.h"
#include "base/interrupt.h"
#include "command/place.h"
#include "command/sources.h"
#include "file/beneath.h"
#include "file/tree_sign.h"

namespace argosy::command {

namespace {

std::string new_generation() {
  std::random_device random;
  std::string text;
  for (int i = 0; i < 4; ++i) text += fmt::format("{:08x}", static_cast<std::uint32_t>(random()));
  return text;
}

}  // namespace

void ScatterSource::scan() {
  if (!asked_.save_manifest.empty() && !asked_.tree.dry_run)
    manifest_.emplace(absolute(options_.start_directory, asked_.save_manifest));
  auto named = resolve(asked_, options_.start_directory, surroundings_.open_standard_input);
  selection_ = selection_of(asked_.tree, options_.start_directory, asked_.from0, surroundings_.open_standard_input);
  file::Selection selection = selection_;
  const auto first_folder = std::stable_partition(named.begin(), named.end(), [](const file::Named& one) {
    return one.standard_input || !file::is_folder(one.path);
  });
  folders_.assign(first_folder, named.end());
  named.erase(first_folder, named.end());
  std::erase_if(folders_, [&](const file::Named& one) { return selection.filter.leaves_out(one.name, true); });
  // A file's stripe has neither owner nor attributes.
  selection.folders = false;
  selection.metadata.attributes = false;
  files_ = std::make_unique<file::Reader>(std::move(named), surroundings_.open_standard_input, std::move(selection));
  files_->scan(false);
  while (true) {
    core::Listing listing = files_->next_entries();
    failures_.insert(failures_.end(), listing.failures.begin(), listing.failures.end());
    if (listing.entries.empty()) break;
    entries_.insert(entries_.end(), listing.entries.begin(), listing.entries.end());
  }
  first_folder_ = entries_.size();
  for (const file::Named& folder : folders_) entries_.push_back(file::folder_stream(folder.path, folder.name));
}

void ScatterSource::describe(std::size_t entry, core::StripeManifest& manifest) const {
  manifest.file = entries_[entry];
  manifest.tree = is_folder(entry);
  manifest.file.ctime = {};
  manifest.file.inode = 0;
  manifest.generation = new_generation();
  manifest.created = std::chrono::system_clock::now().time_since_epoch().count();
}

void ScatterSource::open_folder(std::size_t entry) {
  names_listed_ = 0;
  folder_ = std::make_unique<file::Reader>(std::vector{folders_[entry - first_folder_]}, nullptr, selection_);
  const file::Reader::Totals totals = folder_->scan(false);
  if (!totals.failures.empty()) throw base::Error(totals.failures.front());
  if (!manifest_) {
    pack_.emplace(*folder_);
    return;
  }
  // What an earlier attempt, or a folder that could not be dealt, has left in it.
  drop_unplaced();
  manifest_->mark();
  placed_ = false;
  recorded_.emplace(*folder_, *manifest_);
  pack_.emplace(*recorded_, true);
}

core::Listing ScatterSource::next_names() {
  core::Listing listing = folder_->next_entries();
  for (const core::Entry& entry : listing.entries) {
    if (entry.readable()) folder_->skip(names_listed_);
    ++names_listed_;
  }
  return listing;
}

bool ScatterSource::is_in(std::size_t entry, const core::StripeManifest& there) {
  const file::Named& folder = folders_[entry - first_folder_];
  if (!asked_.checksum) {
    const auto found = file::sign_tree(folder.path, folder.name, selection_);
    return found && found->signature == there.signature;
  }
  file::Reader reader(std::vector{folder}, nullptr, selection_);
  if (!reader.scan(false).failures.empty()) return false;
  file::TreePack pack(reader);
  base::DigestStream digest;
  std::vector<std::byte> bytes(static_cast<std::size_t>(base::kLeafSize));
  std::int64_t size = 0;
  while (const std::size_t got = pack.read(entry, size, bytes)) {
    digest.add(std::span(bytes).first(got));
    size += static_cast<std::int64_t>(got);
    if (base::interrupted() != 0) return false;
  }
  return pack.signature() == there.signature && size == there.file.size && digest.finish() == there.digest;
}

base::Failures ScatterSource::record_in_place(std::size_t entry) {
  if (!manifest_) return base::Failures();
  return record_tree(folders_[entry - first_folder_], selection_, *manifest_);
}

void ScatterSource::drop_unplaced() {
  if (!std::exchange(placed_, true)) manifest_->drop();
}

void ScatterSource::placed(std::size_t entry, std::int64_t size, const base::Digest& digest) {
  if (!manifest_) return;
  if (is_folder(entry)) {
    placed_ = true;
    return;
  }
  core::Entry file = entries_[entry];
  file.size = size;
  manifest_->add(file, digest);
}

void ScatterSource::save_manifest() {
  if (!manifest_) return;
  drop_unplaced();
  manifest_->finish();
}

core::Source& ScatterSource::bytes_of(std::size_t entry) {
  if (is_folder(entry)) return *pack_;
  // What was read in an earlier attempt is read again.
  files_->adopt({0, entry, false, {entries_[entry]}});
  return *files_;
}

base::Failures ScatterSource::take_failures() { return pack_ ? pack_->take_failures() : base::Failures{}; }

}  // namespace argosy::command
