#include "command/stripe_find.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <tuple>

#include "command/place.h"
#include "file/stripe_workplace.h"

namespace argosy::command {

namespace {

using base::Kind;
using nlohmann::json;

std::string to_text(const std::vector<file::StripeFolder>& folders) {
  json list = json::array();
  for (const file::StripeFolder& folder : folders) {
    list.push_back({{"own", folder.own},
                    {"aside", folder.aside},
                    {"device", folder.device},
                    {"inode", folder.inode},
                    {"manifest", folder.manifest},
                    {"why", base::utf8_or_replacement(folder.why)},
                    {"path", base::utf8_or_replacement(folder.path)},
                    {"table", folder.table},
                    {"table_right", folder.table_right},
                    {"shares", folder.shares},
                    {"chunks", folder.chunks}});
  }
  return list.dump();
}

std::vector<FolderSeen> from_texts(const std::vector<std::string>& texts) {
  std::vector<FolderSeen> all;
  try {
    for (std::size_t rank = 0; rank < texts.size(); ++rank) {
      std::uint32_t number = 0;
      for (const json& one : json::parse(texts[rank])) {
        FolderSeen seen;
        seen.seen = {static_cast<int>(rank), number++};
        seen.folder.own = one.at("own");
        seen.folder.aside = one.at("aside");
        seen.folder.device = one.at("device");
        seen.folder.inode = one.at("inode");
        seen.folder.manifest = one.at("manifest");
        seen.folder.why = one.at("why");
        seen.folder.path = one.at("path");
        seen.folder.table = one.at("table");
        seen.folder.table_right = one.at("table_right");
        for (const json& share : one.at("shares")) seen.folder.shares.insert(share.get<std::uint32_t>());
        seen.folder.chunks = one.at("chunks");
        std::string why;
        seen.manifest = core::decode_stripe_manifest(seen.folder.manifest, why);
        all.push_back(std::move(seen));
      }
    }
  } catch (const json::exception& error) {
    throw base::Error(Kind::kIntegrity, {}, 0, std::string("a rank tells nonsense of its folders: ") + error.what());
  }
  return all;
}

// What file::match_paths finds all folders of the stripe by.
std::string stripe_pattern(const StripeJob& job, const StripeName& asked) {
  const auto plain = [](const std::string& text) {
    std::string doubled;
    for (const char c : text) doubled += c == '%' ? std::string("%%") : std::string(1, c);
    return doubled;
  };
  // The folder in which argosy was started is no pattern.
  return absolute(plain(job.options.start_directory), asked.directory) + '/' + plain(asked.name + core::kStripeSuffix);
}

// A manifest that somebody has, and what speaks for it.
struct Candidate {
  core::StripeManifest manifest;
  std::string text;
  std::string path;       // of the first folder that has it,
  engine::Seen seen;      // and whose that is
  bool in_place = false;  // of any folder
  std::size_t folders = 0;
  std::set<std::uint32_t> shares;

  // No more shares are gone than may be lost. Moved chunks can make it more or less: the table will tell.
  bool seems_whole() const {
    std::size_t gone = 0;
    for (const std::uint32_t worker : manifest.workers) {
      const bool failed =
          std::any_of(manifest.failed.begin(), manifest.failed.end(),
                      [&](const core::FailedWorker& one) { return one.worker == worker && one.kept == 0; });
      if (!failed && !shares.contains(worker)) ++gone;
    }
    return gone <= static_cast<std::size_t>(manifest.losses) || manifest.file.size == 0;
  }
  bool replaces(const Candidate& other) const {
    return std::find(manifest.replaces.begin(), manifest.replaces.end(), other.manifest.generation) !=
           manifest.replaces.end();
  }
  auto age() const { return std::tuple(manifest.created, manifest.generation, folders, text); }
};

// The latest first.
std::vector<Candidate> candidates_in(const std::vector<FolderSeen>& folders, const std::string& name) {
  std::map<std::string, Candidate> by_identity;
  for (const FolderSeen& one : folders) {
    if (!one.manifest || one.manifest->file.path != name) continue;
    Candidate& candidate = by_identity[core::identity_of(*one.manifest)];
    if (candidate.folders++ == 0) {
      candidate.manifest = *one.manifest;
      candidate.text = one.folder.manifest;
      candidate.path = one.folder.path;
      candidate.seen = one.seen;
    }
    candidate.in_place = candidate.in_place || !one.folder.aside;
    candidate.shares.insert(one.folder.shares.begin(), one.folder.shares.end());
  }
  // What lies beside a manifest that is lost may be of any of them.
  std::set<std::uint32_t> untold;
  bool any = false;
  for (const FolderSeen& one : folders) {
    if (one.manifest) continue;
    untold.insert(one.folder.shares.begin(), one.folder.shares.end());
    any = any || one.folder.chunks;
  }
  std::vector<Candidate> candidates;
  for (auto& [identity, candidate] : by_identity) {
    candidate.shares.insert(untold.begin(), untold.end());
    if (any) candidate.shares.insert(candidate.manifest.workers.begin(), candidate.manifest.workers.end());
    candidates.push_back(std::move(candidate));
  }
  std::sort(candidates.begin(), candidates.end(), [](const auto& a, const auto& b) { return a.age() > b.age(); });
  return candidates;
}

std::string time_text(std::int64_t nanoseconds) {
  const std::time_t seconds = nanoseconds / 1'000'000'000;
  std::tm parts = {};
  if (gmtime_r(&seconds, &parts) == nullptr) return "?";
  return fmt::format("{:04}-{:02}-{:02} {:02}:{:02}:{:02} UTC", parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday,
                     parts.tm_hour, parts.tm_min, parts.tm_sec);
}

// The one that is meant, which is not empty. What has to be said about the others is said on rank 0.
Candidate choose(const std::vector<Candidate>& all, StripeJob& job) {
  const auto say = [&](const Candidate& about, std::string message) {
    if (job.me != 0) return;
    job.report.warnings.push_back(
        {Kind::kIntegrity, about.path, about.seen.rank, job.session.host(about.seen.rank), 0, std::move(message)});
  };
  const auto whole = std::find_if(all.begin(), all.end(), [](const Candidate& one) { return one.seems_whole(); });
  // One that is nowhere in place, and not whole, was never finished.
  const auto stands = [](const Candidate& one) { return one.in_place; };
  if (whole == all.end()) {
    const auto latest = std::find_if(all.begin(), all.end(), stands);
    return latest == all.end() ? all.front() : *latest;
  }
  for (auto later = all.begin(); later != whole; ++later) {
    if (!stands(*later)) continue;
    if (later->replaces(*whole)) {
      say(*whole, fmt::format("an older stripe of this name, of {}, can be had, but it was replaced on {} by one that "
                              "can't: that one is looked at",
                              time_text(whole->manifest.created), time_text(later->manifest.created)));
      return *later;
    }
    say(*later, fmt::format("a stripe of this name, of {}, can't be had; one of {} is looked at in its place",
                            time_text(later->manifest.created), time_text(whole->manifest.created)));
  }
  return *whole;
}

// Of folders that several ranks of a host see, one of these ranks, another for each share: they read side by side.
void see(FoundStripe& found, const StripeJob& job) {
  const auto same_place = [&](const FolderSeen& one) {
    return std::tuple(job.session.host(one.seen.rank), one.folder.device, one.folder.inode);
  };
  std::map<std::tuple<std::string, std::uint64_t, std::uint64_t>, std::vector<const FolderSeen*>> places;
  for (const FolderSeen& one : found.folders) places[same_place(one)].push_back(&one);
  std::vector<const std::vector<const FolderSeen*>*> by_worth;
  for (auto& [place, folders] : places) {
    // A rank reads best where it would write.
    std::stable_sort(folders.begin(), folders.end(),
                     [](const FolderSeen* a, const FolderSeen* b) { return a->folder.own && !b->folder.own; });
    const auto owners = std::count_if(folders.begin(), folders.end(), [](const auto* one) { return one->folder.own; });
    if (owners > 0) folders.resize(static_cast<std::size_t>(owners));
    by_worth.push_back(&folders);
  }
  std::stable_sort(by_worth.begin(), by_worth.end(), [](const auto* one, const auto* other) {
    const auto worth = [](const FolderSeen& seen) { return std::tuple(!seen.is_this, seen.folder.aside); };
    return worth(*one->front()) < worth(*other->front());
  });
  std::set<std::uint32_t> named(found.manifest.workers.begin(), found.manifest.workers.end());
  for (const auto* folders : by_worth) {
    const FolderSeen& first = *folders->front();
    // What another stripe's manifest stands beside is another stripe's, unless that manifest only claims to be another.
    const bool other = first.manifest && first.manifest->generation != found.manifest.generation;
    const auto nth = [&](std::size_t n) { return (*folders)[n % folders->size()]->seen; };
    if (first.is_this && first.folder.table) found.sight.tables.push_back(nth(0));
    if (other) continue;
    for (const std::uint32_t share : named) {
      if (!first.folder.shares.contains(share) && !first.folder.chunks) continue;
      found.sight.shares[share].push_back(nth(share));
    }
  }
}

}  // namespace

std::string own_directory(const StripeJob& job, const StripeName& asked) {
  return absolute(job.options.start_directory, expand(asked.directory, job.me, job.session.host(job.me)));
}

std::string own_folder(const StripeJob& job, const StripeName& asked) {
  return own_directory(job, asked) + '/' + asked.name + core::kStripeSuffix;
}

bool sees_another(const StripeJob& job, const StripeName& asked, const std::string& generation) {
  const std::vector<std::string> paths = file::match_paths(stripe_pattern(job, asked), file::kMostStripeFolders);
  return std::any_of(paths.begin(), paths.end(), [&](const std::string& path) {
    const auto manifest = file::read_manifest(AT_FDCWD, path);
    return manifest && manifest->generation != generation;
  });
}

void clear_replaced(StripeJob& job, const StripeName& asked, const core::StripeManifest& manifest) {
  if (manifest.replaces.empty()) return;
  job.run_task(
      [&] {
        const std::set<std::string> generations(manifest.replaces.begin(), manifest.replaces.end());
        for (const std::string& path : file::match_paths(stripe_pattern(job, asked), file::kMostStripeFolders)) {
          file::remove_replaced(path, generations);
        }
      },
      "commit");
}

bool FoundStripe::has_replaced(const FolderSeen& one) const {
  return one.manifest && std::find(manifest.replaces.begin(), manifest.replaces.end(), one.manifest->generation) !=
                             manifest.replaces.end();
}

std::optional<FoundStripe> find_stripe(StripeJob& job, const StripeName& asked, file::StripeShelf& shelf) {
  const mpi::Verdict looked =
      job.run_task([&] { shelf.find(own_folder(job, asked), stripe_pattern(job, asked)); }, "scan");
  if (job.phases.failure()) job.report_failure(*job.phases.failure());
  if (looked.interrupted != 0) return std::nullopt;
  FoundStripe found;
  found.folders = from_texts(job.session.exchange(to_text(shelf.folders())));
  const std::string shown = asked.directory + '/' + asked.name;
  const auto fail = [&](base::Failure failure) {
    if (job.me == 0) job.report_failure(std::move(failure));
    return std::nullopt;
  };
  if (found.folders.empty()) {
    return fail(base::system_error(Kind::kSource, shown, ENOENT, "no rank sees a stripe of this name").failure());
  }
  const std::vector<Candidate> all = candidates_in(found.folders, asked.name);
  if (all.empty()) {
    const FolderSeen& first = found.folders.front();
    const std::string why = first.folder.manifest.empty() ? first.folder.why : "is another file's";
    return fail({Kind::kIntegrity,
                 first.folder.path + '/' + core::kManifestName,
                 -1,
                 {},
                 0,
                 "no rank has a manifest that is right; this one " + why});
  }
  const Candidate best = choose(all, job);
  found.manifest = best.manifest;
  found.text = best.text;
  const std::string identity = core::identity_of(found.manifest);
  for (FolderSeen& one : found.folders) one.is_this = one.manifest && core::identity_of(*one.manifest) == identity;
  see(found, job);
  if (found.sight.tables.empty() && found.manifest.stripe().rows() > 0) {
    return fail({Kind::kIntegrity, shown, -1, {}, 0, std::string("no rank sees a ") + core::kTableName + " of it"});
  }
  return found;
}

}  // namespace argosy::command
