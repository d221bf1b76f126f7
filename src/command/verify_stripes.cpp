// The shares of a striped file, checked on all ranks at once.
#include <fmt/format.h>

#include <chrono>
#include <set>
#include <tuple>

#include "base/seconds.h"
#include "command/stripe_check.h"
#include "command/stripe_collect.h"
#include "command/stripe_find.h"
#include "command/verify.h"

namespace argosy::command {

namespace {

using Clock = std::chrono::steady_clock;

// One line for each thing that is not as it should be.
void report_damage(StripeJob& job, const FoundStripe& found, const Checked& checked, const std::string& shown) {
  const auto say = [&](const std::string& path, const std::string& message) {
    job.report_failure({base::Kind::kIntegrity, path, -1, {}, 0, message});
  };
  report_shares(job, found, checked, shown);
  if (checked.rows_lost > 0) {
    say(shown + core::kStripeSuffix + '/' + core::kTableName,
        fmt::format("{} of {} rows are damaged in every folder; their chunks count as missing", checked.rows_lost,
                    found.manifest.stripe().rows()));
  }
  const auto warn = [&](const FolderSeen& one, const char* message) {
    job.report.warnings.push_back(
        {base::Kind::kNone, one.folder.path, one.seen.rank, job.session.host(one.seen.rank), 0, message});
  };
  std::set<std::tuple<std::string, std::uint64_t, std::uint64_t>> seen;
  for (const FolderSeen& one : found.folders) {
    // Several ranks may see one folder.
    if (!seen.emplace(job.session.host(one.seen.rank), one.folder.device, one.folder.inode).second) continue;
    const std::string where = fmt::format("on {}", job.session.host(one.seen.rank));
    if (!one.folder.why.empty()) {
      say(one.folder.path + '/' + core::kManifestName, fmt::format("{} ({})", one.folder.why, where));
    } else if (!one.is_this) {
      warn(one, found.has_replaced(one) ? "is left of a stripe that this one has replaced; repair removes it"
                                        : "belongs to another stripe");
    } else if (!one.folder.table_right) {
      say(one.folder.path + '/' + core::kTableName, fmt::format("is missing or damaged ({})", where));
    } else if (one.folder.aside) {
      warn(one, "is not in its place yet, since a scatter was killed; repair puts it there");
    }
  }
  if (checked.losses < 0) say(shown, "the file can't be had any more");
}

}  // namespace

Report verify_stripes(const Options& options, const StripeName& stripe, mpi::Session& session,
                      const Surroundings& surroundings) {
  StripeJob job(options, session, surroundings, VerifyOptions::kName);
  if (surroundings.observer != nullptr) surroundings.observer->started();
  const auto start = Clock::now();
  file::StripeShelf shelf;
  const auto found = find_stripe(job, stripe, shelf);
  Parcels parcels;
  const bool goes_on = found && take_memory(job, found->manifest, 0, parcels);
  job.report.seconds.scan = base::seconds_since(start);
  if (goes_on) {
    const auto begun = Clock::now();
    const Checked checked = check(job, *found, shelf, parcels);
    job.report.seconds.transfer = base::seconds_since(begun);
    if (checked.done) {
      job.report.stripe = describe(*found, checked, job);
      job.report.name = found->manifest.file.path;
      job.report.digest = base::to_string(found->manifest.digest);
      job.report.files = checked.losses >= 0 ? 1 : 0;
      job.report.bytes = found->manifest.file.size;
      report_damage(job, *found, checked, stripe.directory + '/' + stripe.name);
    }
  }
  return job.finish();
}

}  // namespace argosy::command
