#include "command/stripe_find.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <tuple>

#include "command/place.h"

namespace argosy::command {

namespace {

using base::Kind;
using nlohmann::json;

std::string to_text(const std::vector<file::StripeFolder>& folders) {
  json list = json::array();
  for (const file::StripeFolder& folder : folders) {
    list.push_back({{"own", folder.own},
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
        seen.folder.device = one.at("device");
        seen.folder.inode = one.at("inode");
        seen.folder.manifest = one.at("manifest");
        seen.folder.why = one.at("why");
        seen.folder.path = one.at("path");
        seen.folder.table = one.at("table");
        seen.folder.table_right = one.at("table_right");
        for (const json& share : one.at("shares")) seen.folder.shares.insert(share.get<std::uint32_t>());
        seen.folder.chunks = one.at("chunks");
        all.push_back(std::move(seen));
      }
    }
  } catch (const json::exception& error) {
    throw base::Error(Kind::kIntegrity, {}, 0, std::string("a rank tells nonsense of its folders: ") + error.what());
  }
  return all;
}

// A manifest that somebody has, and what speaks for it.
struct Candidate {
  core::StripeManifest manifest;
  std::string text;
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
  auto merit() const { return std::tuple(seems_whole(), manifest.created, manifest.generation, folders, text); }
};

std::optional<Candidate> choose(const std::vector<FolderSeen>& folders, const std::string& name) {
  std::map<std::string, Candidate> candidates;
  for (const FolderSeen& one : folders) {
    std::string why;
    const auto manifest = core::decode_stripe_manifest(one.folder.manifest, why);
    if (!manifest || manifest->file.path != name) continue;
    Candidate& candidate = candidates[core::identity_of(*manifest)];
    candidate.manifest = *manifest;
    candidate.text = one.folder.manifest;
    ++candidate.folders;
    candidate.shares.insert(one.folder.shares.begin(), one.folder.shares.end());
  }
  const auto best = std::max_element(candidates.begin(), candidates.end(),
                                     [](const auto& a, const auto& b) { return a.second.merit() < b.second.merit(); });
  if (best == candidates.end()) return std::nullopt;
  return best->second;
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
  std::stable_partition(by_worth.begin(), by_worth.end(), [](const auto* one) { return one->front()->is_this; });
  std::set<std::uint32_t> named(found.manifest.workers.begin(), found.manifest.workers.end());
  for (const auto* folders : by_worth) {
    const FolderSeen& first = *folders->front();
    // What another stripe's manifest stands beside is another stripe's, unless that manifest only claims to be another.
    std::string why;
    const auto manifest = core::decode_stripe_manifest(first.folder.manifest, why);
    const bool other = manifest && manifest->generation != found.manifest.generation;
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

std::optional<FoundStripe> find_stripe(StripeJob& job, const StripeName& asked, file::StripeShelf& shelf) {
  const mpi::Verdict looked = job.run_task(
      [&] {
        std::string name;
        for (const char c : asked.name + core::kStripeSuffix) name += c == '%' ? std::string("%%") : std::string(1, c);
        // The folder in which argosy was started is no pattern.
        std::string start;
        for (const char c : job.options.start_directory) start += c == '%' ? std::string("%%") : std::string(1, c);
        shelf.find(own_folder(job, asked), absolute(start, asked.directory) + '/' + name);
      },
      "scan");
  if (job.phases.failure()) job.report_failure(*job.phases.failure());
  if (looked.interrupted != 0) return std::nullopt;
  FoundStripe found;
  found.folders = from_texts(job.session.exchange(to_text(shelf.folders())));
  const std::optional<Candidate> best = choose(found.folders, asked.name);
  if (!best) {
    if (job.me == 0 && found.folders.empty()) {
      job.report_failure(base::system_error(Kind::kSource, asked.directory + '/' + asked.name, ENOENT,
                                            "no rank sees a stripe of this name")
                             .failure());
    } else if (job.me == 0) {
      const FolderSeen& first = found.folders.front();
      std::string why = first.folder.manifest.empty() ? first.folder.why : "is another file's";
      job.report_failure({Kind::kIntegrity,
                          first.folder.path + '/' + core::kManifestName,
                          -1,
                          {},
                          0,
                          "no rank has a manifest that is right; this one " + why});
    }
    return std::nullopt;
  }
  found.manifest = best->manifest;
  found.text = best->text;
  const std::string identity = core::identity_of(found.manifest);
  for (FolderSeen& one : found.folders) {
    std::string why;
    const auto manifest = core::decode_stripe_manifest(one.folder.manifest, why);
    one.is_this = manifest && core::identity_of(*manifest) == identity;
  }
  see(found, job);
  if (found.sight.tables.empty() && found.manifest.stripe().rows() > 0) {
    if (job.me == 0) {
      job.report_failure({Kind::kIntegrity,
                          asked.directory + '/' + asked.name,
                          -1,
                          {},
                          0,
                          std::string("no rank sees a ") + core::kTableName + " of it"});
    }
    return std::nullopt;
  }
  return found;
}

}  // namespace argosy::command
