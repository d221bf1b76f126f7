#include "command/repair.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <tuple>
#include <utility>
#include <vector>

#include "base/seconds.h"
#include "command/stripe_check.h"
#include "command/stripe_collect.h"
#include "command/stripe_find.h"
#include "file/beneath.h"
#include "file/share_patch.h"
#include "file/share_store.h"
#include "file/stripe_workplace.h"

namespace argosy::command {

namespace {

using base::Kind;
using Clock = std::chrono::steady_clock;

constexpr std::int64_t kNoShare = -1;

// What one rank puts right in its folder: a share, or only what belongs beside it.
struct Work {
  int rank = 0;
  std::int64_t share = kNoShare;
};

// Where a share can be put: a folder, and the ranks that would write there.
struct Site {
  std::vector<int> ranks;
  bool foreign = false;            // it has another stripe, which is left alone
  std::set<std::uint32_t> shares;  // that it has, or will have
  bool has_folder = false;         // of this stripe, or with shares that nothing tells
  bool beside_right = true;        // manifest and table are
};

// Chunks as they are collected into a folder.
class RepairSink final : public core::CellSink {
 public:
  explicit RepairSink(core::ShareSink& share) : share_(share) {}
  void put(const core::Cell& cell, const core::Row& row, std::span<const std::byte> data) override {
    share_.write(core::place_of(cell, row), data);
  }
  void put_table(std::int64_t first_row, std::span<const std::byte> rows) override {
    share_.write_table(first_row, rows);
  }

 private:
  core::ShareSink& share_;
};

class Repair {
 public:
  Repair(const Options& options, const RepairOptions& asked, mpi::Session& session, const Surroundings& surroundings)
      : job_(options, session, surroundings, RepairOptions::kName), asked_(asked), me_(session.rank()) {}

  Report run() {
    if (job_.surroundings.observer != nullptr) job_.surroundings.observer->started();
    const auto start = Clock::now();
    found_ = find_stripe(job_, asked_, shelf_.emplace());
    settle();
    const bool goes_on = found_ && take_memory(job_, found_->manifest, StripeJob::kEveryRank, parcels_);
    std::vector<Work> works;
    if (goes_on) {
      const Checked checked = check(job_, *found_, *shelf_, parcels_);
      works = agree(checked);
    }
    job_.report.seconds.scan = base::seconds_since(start);
    const auto begun = Clock::now();
    for (const Work& work : works) {
      if (job_.interrupted == 0) put_right(work);
    }
    job_.report.seconds.transfer = base::seconds_since(begun);
    const bool all = job_.session.exchange(possible_ ? 1 : 0)[0] != 0;
    if (all && job_.interrupted == 0) clear_replaced(job_, asked_, found_->manifest);
    tell();
    return job_.finish();
  }

 private:
  // What a scatter that was killed has finished is put in its place first: shares are repaired there.
  void settle() {
    if (!found_) return;
    const auto waits = [](const FolderSeen& one) { return one.folder.aside && one.folder.own && one.is_this; };
    const auto& folders = found_->folders;
    if (std::none_of(folders.begin(), folders.end(), waits)) return;
    const bool mine = std::any_of(folders.begin(), folders.end(),
                                  [&](const FolderSeen& one) { return waits(one) && one.seen.rank == me_; });
    std::function<void()> task;
    if (mine) task = [this] { file::settle_stripe({own_directory(job_, asked_), 0}, found_->manifest); };
    job_.run_task(task, "scan");
    if (job_.phases.failure()) job_.report_failure(*job_.phases.failure());
    job_.report.warnings.clear();
    found_ = find_stripe(job_, asked_, shelf_.emplace());
  }

  // Rank 0 decides, from what it knows of the shares; every rank knows the outcome.
  std::vector<Work> agree(const Checked& checked) {
    const std::vector<std::string> places = job_.session.exchange(own_folder(job_, asked_));
    nlohmann::json list = nlohmann::json::array();
    if (me_ == 0 && checked.done) {
      stripe_ = describe(*found_, checked, job_);
      const std::string shown = asked_.directory + '/' + asked_.name;
      if (checked.losses < 0) {
        report_shares(job_, *found_, checked, shown);
        job_.report_failure({Kind::kIntegrity, shown, -1, {}, 0, "too much is lost for the rest to make up"});
      } else {
        possible_ = true;
        for (const Work& work : plan(checked, places)) list.push_back({work.rank, work.share});
      }
    }
    const std::string text = job_.session.exchange(list.dump())[0];
    std::vector<Work> works;
    for (const nlohmann::json& one : nlohmann::json::parse(text)) works.push_back({one.at(0), one.at(1)});
    return works;
  }

  std::vector<Work> plan(const Checked& checked, const std::vector<std::string>& places) {
    std::map<std::pair<std::string, std::string>, Site> sites;
    for (int rank = 0; rank < job_.session.size(); ++rank) {
      sites[{job_.session.host(rank), places[static_cast<std::size_t>(rank)]}].ranks.push_back(rank);
    }
    for (const FolderSeen& one : found_->folders) {
      if (!one.folder.own || one.folder.aside) continue;
      Site& site = sites[{job_.session.host(one.seen.rank), places[static_cast<std::size_t>(one.seen.rank)]}];
      const bool other = one.manifest && !one.is_this;
      site.foreign = site.foreign || (other && !found_->has_replaced(one));
      if (other) continue;
      site.has_folder = true;
      site.beside_right = one.is_this && one.folder.table_right;
      site.shares = one.folder.shares;
    }
    std::vector<Work> works;
    for (const auto& [share, state] : checked.shares) {
      if (state.damaged + state.missing == 0) continue;
      // Where it is, though damaged; else where nothing is, best on the rank of its number, last on the root.
      const auto worth = [&, share = share](const Site& site) {
        const bool named = std::find(site.ranks.begin(), site.ranks.end(), static_cast<int>(share)) != site.ranks.end();
        return std::tuple(site.foreign, !site.shares.contains(share), site.shares.size(), !named,
                          site.ranks.front() == 0);
      };
      const auto best = std::min_element(
          sites.begin(), sites.end(), [&](const auto& a, const auto& b) { return worth(a.second) < worth(b.second); });
      Site& site = best->second;
      if (site.foreign) {
        job_.report_failure({Kind::kDestination,
                             best->first.second,
                             -1,
                             {},
                             EEXIST,
                             fmt::format("share {} has no place: every rank's folder holds another stripe, which is "
                                         "left alone",
                                         share)});
        possible_ = false;
        return {};
      }
      const bool named = std::find(site.ranks.begin(), site.ranks.end(), static_cast<int>(share)) != site.ranks.end();
      works.push_back({named ? static_cast<int>(share) : site.ranks.front(), static_cast<std::int64_t>(share)});
      site.shares.insert(share);
      site.beside_right = true;  // is put right along with the share
    }
    for (const auto& [place, site] : sites) {
      if (site.has_folder && !site.beside_right) works.push_back({site.ranks.front(), kNoShare});
    }
    return works;
  }

  // One rank's work, with everybody's help.
  void put_right(const Work& work) {
    const bool mine = work.rank == me_;
    std::unique_ptr<file::ShareStore> store;
    std::unique_ptr<file::SharePatch> patch;
    std::optional<file::Folder> folder;
    const std::optional<std::uint32_t> share =
        work.share == kNoShare ? std::nullopt : std::optional(static_cast<std::uint32_t>(work.share));
    const auto run = [&](const std::function<void()>& task, const char* phase) {
      const mpi::Verdict verdict = job_.run_task(mine ? task : std::function<void()>(), phase);
      if (job_.phases.failure()) job_.report_failure(*job_.phases.failure());
      return verdict.failed == 0 && verdict.interrupted == 0;
    };
    const bool ready = run([&] { open(share, folder, store, patch); }, "scan");
    bool done = false;
    if (ready) {
      engine::Collector::Settings settings;
      std::optional<RepairSink> sink;
      if (mine) {
        sink.emplace(store ? static_cast<core::ShareSink&>(*store) : *patch);
        settings.end_group = found_->manifest.stripe().groups();
        settings.table = true;
        settings.wants = [share](const core::Cell&, const core::Row& row) { return share && row.holder == *share; };
      }
      const Collected collected = collect(job_, *found_, *shelf_, parcels_, work.rank, sink ? &*sink : nullptr,
                                          std::move(settings), asked_.directory + '/' + asked_.name);
      rebuilt_ += collected.counts.rebuilt;
      bytes_ += collected.counts.bytes;
      const bool whole = job_.session.exchange(collected.whole ? 1 : 0)[static_cast<std::size_t>(work.rank)] != 0;
      done = whole && run(
                          [&] {
                            if (patch) return patch->finish(found_->text);
                            store->finish(true, found_->text);
                            store->publish();
                            store->clean();
                          },
                          "commit");
    }
    run(
        [&] {
          store.reset();
          patch.reset();
          if (folder && !done) folder->remove_made();
          folder.reset();
        },
        "commit");
    possible_ = possible_ && done;
  }

  void open(std::optional<std::uint32_t> share, std::optional<file::Folder>& folder,
            std::unique_ptr<file::ShareStore>& store, std::unique_ptr<file::SharePatch>& patch) const {
    const core::StripeManifest& manifest = found_->manifest;
    folder.emplace(own_directory(job_, asked_), 0);
    // What is there may hold more than what was lost of it; another stripe's folder is replaced as a whole. A folder
    // that an earlier work has made is this stripe's.
    const std::string target = manifest.file.path + core::kStripeSuffix;
    const auto there = file::read_manifest(folder->fd(), target);
    const auto& replaces = manifest.replaces;
    const bool is_this = there && core::identity_of(*there) == core::identity_of(manifest);
    if (there && !is_this && std::find(replaces.begin(), replaces.end(), there->generation) == replaces.end()) {
      throw base::Error(Kind::kDestination, folder->shown(target), EEXIST, "holds another stripe, which is left alone");
    }
    const bool mends = is_this || (!there && file::is_folder(folder->shown(target)));
    const bool fsync = job_.options.common.fsync;
    if (mends) {
      patch = std::make_unique<file::SharePatch>(*folder, manifest, share, fsync);
      return;
    }
    file::ShareStore::Settings settings;
    settings.layout = manifest.layout;
    settings.generation = manifest.generation;
    settings.chunk_size = manifest.chunk_size;
    settings.worker = share.value_or(0);
    settings.mode = manifest.file.mode;
    settings.fsync = fsync;
    store = std::make_unique<file::ShareStore>(*folder, manifest.file.path, settings);
    store->prepare(manifest.stripe().rows() * static_cast<std::int64_t>(core::kRowBytes),
                   static_cast<std::int64_t>(found_->text.size()));
    if (share) store->open(manifest.stripe().bytes_of(*share));
  }

  void tell() {
    const std::vector<std::int64_t> rebuilt = job_.session.exchange(rebuilt_);
    const std::vector<std::int64_t> bytes = job_.session.exchange(bytes_);
    // Every rank has its own idea of what it did; only rank 0 knows what there was to do.
    if (me_ != 0 || !stripe_) return;
    for (const std::int64_t one : rebuilt) stripe_->rebuilt += one;
    for (const std::int64_t one : bytes) job_.report.bytes_moved += one;
    if (possible_) stripe_->losses = found_->manifest.losses;
    job_.report.stripe = stripe_;
    job_.report.name = found_->manifest.file.path;
    job_.report.digest = base::to_string(found_->manifest.digest);
    job_.report.files = possible_ && job_.interrupted == 0 ? 1 : 0;
    job_.report.bytes = found_->manifest.file.size;
  }

  StripeJob job_;
  const RepairOptions& asked_;
  int me_;
  std::optional<file::StripeShelf> shelf_;
  std::optional<FoundStripe> found_;
  Parcels parcels_;
  std::optional<StripeReport> stripe_;  // rank 0
  bool possible_ = false;               // rank 0: everything could be put right so far
  std::int64_t rebuilt_ = 0;
  std::int64_t bytes_ = 0;
};

}  // namespace

Report repair(const Options& options, const RepairOptions& asked, mpi::Session& session,
              const Surroundings& surroundings) {
  return Repair(options, asked, session, surroundings).run();
}

}  // namespace argosy::command
