#include "command/scatter_again.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "command/stripe_find.h"
#include "file/share_in_place.h"

namespace argosy::command {

namespace {

// What a scatter with these options would write, of whatever content.
bool is_alike(const core::StripeManifest& there, const core::StripeManifest& meant) {
  return there.tree == meant.tree && there.signature && there.file.path == meant.file.path &&
         there.chunk_size == meant.chunk_size && there.layout == meant.layout && there.workers == meant.workers &&
         there.parity == meant.parity;
}

}  // namespace

std::optional<core::StripeManifest> find_in_place(
    StripeJob& job, const ScatterOptions& asked, const core::StripeManifest& meant, int root,
    const std::function<bool(const core::StripeManifest& there)>& is_of_source) {
  const auto me = static_cast<std::uint32_t>(job.me);
  const bool works = std::find(meant.workers.begin(), meant.workers.end(), me) != meant.workers.end();
  const StripeName name{asked.directory, meant.file.path};
  std::string text;
  std::string identity;
  std::function<void()> look;
  if (works) {
    look = [&] {
      const auto there = file::share_in_place(own_folder(job, name), me, asked.checksum, text);
      if (there && is_alike(*there, meant)) identity = core::identity_of(*there);
    };
  }
  job.run_task(look, "scan");
  const std::vector<std::string> identities = job.session.exchange(identity);
  const std::uint32_t first = meant.workers.front();
  for (const std::uint32_t worker : meant.workers) {
    if (identities[worker].empty() || identities[worker] != identities[first]) return std::nullopt;
  }
  std::string why;
  const auto there = core::decode_stripe_manifest(job.session.exchange(me == first ? text : std::string())[first], why);
  // A younger one elsewhere would be taken for it by whoever gathers.
  bool agrees = false;
  std::function<void()> compare;
  if (there) {
    compare = [&] { agrees = !sees_another(job, name, there->generation) && (job.me != root || is_of_source(*there)); };
  }
  job.run_task(compare, "scan");
  const std::vector<std::int64_t> all = job.session.exchange(agrees ? 1 : 0);
  const bool agreed = std::all_of(all.begin(), all.end(), [](std::int64_t one) { return one != 0; });
  return agreed && job.interrupted == 0 ? there : std::nullopt;
}

}  // namespace argosy::command
