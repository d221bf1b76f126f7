#include "command/scatter_worker.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <map>
#include <nlohmann/json.hpp>
#include <utility>

#include "command/place.h"

namespace argosy::command {

namespace {

constexpr int kNobody = -1;

}  // namespace

ScatterWorker::ScatterWorker(StripeJob& job, const ScatterOptions& asked, bool works)
    : job_(job), asked_(asked), works_(works) {}

bool ScatterWorker::run(bool takes_part, const std::function<void()>& task, const char* phase) {
  job_.run_task(takes_part ? task : std::function<void()>(), phase);
  if (!job_.phases.failure()) return takes_part;
  if (!failure_) failure_ = job_.phases.failure();
  return false;
}

std::int64_t ScatterWorker::error() const {
  if (!works_ || !failure_) return 0;
  return failure_->error_number != 0 ? failure_->error_number : EIO;
}

void ScatterWorker::open_directory() {
  const std::string path =
      absolute(job_.options.start_directory, expand(asked_.directory, job_.me, job_.session.host(job_.me)));
  run(
      works_, [&] { folder_.emplace(path, 0); }, "scan");
  const std::int64_t now = std::chrono::steady_clock::now().time_since_epoch().count();
  const std::int64_t id = job_.session.exchange(now)[0];
  std::optional<file::Sign> sign;
  run(
      folder_.has_value(), [&] { sign.emplace(*folder_, id, job_.me); }, "scan");
  run(
      sign.has_value(), [&] { leader_ = sign->lowest(); }, "scan");
  run(
      sign.has_value(), [&] { sign.reset(); }, "scan");
  lasting_ = failure_;
}

void ScatterWorker::prepare(Attempt& attempt) {
  const core::Stripe stripe = attempt.manifest.stripe();
  file::ShareStore::Settings settings;
  settings.layout = asked_.layout;
  settings.generation = attempt.manifest.generation;
  settings.chunk_size = attempt.manifest.chunk_size;
  settings.worker = static_cast<std::uint32_t>(job_.me);
  settings.mode = attempt.manifest.file.mode;
  settings.fsync = job_.options.common.fsync;
  if (folder_) store_ = std::make_unique<file::ShareStore>(*folder_, attempt.manifest.file.path, settings);
  const std::int64_t table = attempt.open_ended ? 0 : stripe.rows() * static_cast<std::int64_t>(core::kRowBytes);
  leads_ = run(
      folder_ && leader_ == job_.me,
      [&] { store_->prepare(table, static_cast<std::int64_t>(core::most_manifest_bytes(attempt.manifest))); }, "scan");
  attempt.leads = job_.session.exchange(leads_ ? 1 : 0);
  agree_on_replaced(attempt.manifest);
  // A leader whose own share has failed goes on leading.
  const bool led = folder_ && leader_ != kNobody && attempt.leads[static_cast<std::size_t>(leader_)] != 0;
  if (folder_ && !led && !failure_) {
    failure_ = {base::Kind::kDestination, folder_->path(), -1, {}, EIO, "the rank that leads this folder has failed"};
  }
  const std::int64_t bytes = attempt.open_ended || !works_ ? 0 : stripe.bytes_of(static_cast<std::uint32_t>(job_.me));
  run(
      led && !failure_, [&] { store_->open(bytes); }, "scan");
  attempt.errors = job_.session.exchange(error());
}

// What stands in the place of a stripe that can't be had must not be taken for it, whatever the roots' clocks say: so a
// stripe names what it replaces, and is younger.
void ScatterWorker::agree_on_replaced(core::StripeManifest& manifest) const {
  nlohmann::json mine = nlohmann::json::array();
  if (leads_) {
    for (const core::StripeManifest& one : store_->replaced()) {
      nlohmann::json generations = one.replaces;
      generations.insert(generations.begin(), one.generation);
      mine.push_back({{"created", one.created}, {"generations", std::move(generations)}});
    }
  }
  const auto told = [](const std::string& text) {
    auto list = nlohmann::json::parse(text, nullptr, false);
    if (!list.is_array()) throw base::Error(base::Kind::kIntegrity, {}, 0, "what a rank replaces came damaged");
    return list;
  };
  std::map<std::int64_t, std::vector<std::string>> by_age;
  for (const std::string& text : job_.session.exchange(mine.dump())) {
    for (const nlohmann::json& one : told(text)) {
      auto& generations = by_age[one.at("created").get<std::int64_t>()];
      for (const nlohmann::json& generation : one.at("generations")) generations.push_back(generation);
    }
  }
  manifest.replaces.clear();
  for (auto it = by_age.rbegin(); it != by_age.rend(); ++it) {
    for (const std::string& generation : it->second) {
      auto& all = manifest.replaces;
      if (all.size() < core::kMostReplaced && std::find(all.begin(), all.end(), generation) == all.end()) {
        all.push_back(generation);
      }
    }
  }
  if (!by_age.empty() && by_age.rbegin()->first < INT64_MAX) {
    manifest.created = std::max(manifest.created, by_age.rbegin()->first + 1);
  }
}

void ScatterWorker::start_holding(engine::Pool& pool, const Parcels& parcels, int root,
                                  std::optional<engine::Holder>& holder) {
  if (!works_) return;
  engine::Holder::Settings settings;
  settings.root = root;
  settings.bundle = parcels.bundle;
  settings.leads = leads_;
  holder.emplace(job_.session.transport(), job_.phases.workers(), pool, error() == 0 ? store_.get() : nullptr,
                 store_.get(), settings);
}

void ScatterWorker::stop_holding(const engine::Holder& holder) {
  job_.rank.bytes_written += holder.bytes();
  kept_ = holder.chunks();
  if (holder.failure() && !failure_) failure_ = holder.failure();
  table_failure_ = holder.table_failure();
}

bool ScatterWorker::commit(const std::string& manifest) {
  const auto all = [&](bool mine, const std::function<void()>& task) {
    const mpi::Verdict verdict = job_.run_task(mine ? task : std::function<void()>(), "commit");
    if (job_.phases.failure()) {
      failure_ = job_.phases.failure();
      // Whoever could not have its folder in place leads it no more.
      if (leads_) leader_ = kNobody;
    }
    return verdict.failed == 0 && verdict.interrupted == 0;
  };
  const bool has_share = works_ && (error() == 0 || kept_ > 0);
  const bool finished = all(store_ && (leads_ || has_share), [&] {
    if (table_failure_) throw base::Error(*table_failure_);
    store_->finish(has_share, manifest);
  });
  if (!finished) return false;
  const auto as_leader = [&](const std::function<void()>& task) {
    job_.run_task(leads_ ? task : std::function<void()>(), "commit");
  };
  if (!all(leads_, [&] { store_->publish(); })) {
    as_leader([&] { store_->take_back(); });
    return false;
  }
  as_leader([&] { store_->clean(); });
  return true;
}

void ScatterWorker::warn(const core::StripeManifest& manifest, int root) const {
  const auto say = [&](base::Failure failure) {
    job_.report.warnings.push_back(job_.phases.signed_here({std::move(failure)}).front());
  };
  if (failure_) {
    base::Failure failure = *failure_;
    failure.message += "; the others have the rest of this share";
    say(std::move(failure));
  }
  if (job_.me != root) return;
  const std::string shown = asked_.directory + '/' + manifest.file.path;
  for (const core::FailedWorker& one : manifest.failed) {
    // The worker itself knows of nothing.
    if (one.error_number != EBADMSG) continue;
    const std::string what = fmt::format("chunks for worker {} came damaged", one.worker);
    say({base::Kind::kIntegrity, shown, -1, {}, EBADMSG, what + "; the others have the rest of its share"});
  }
  if (manifest.losses >= manifest.parity) return;
  const std::string what = fmt::format("only {} share{} may be lost, not {}: scatter it again for more",
                                       manifest.losses, manifest.losses == 1 ? "" : "s", manifest.parity);
  say({base::Kind::kDestination, shown, -1, {}, 0, what});
}

void ScatterWorker::drop(bool next) {
  // A store takes away what it has not published: that is work for a thread that may block.
  job_.run_task(store_ ? std::function<void()>([this] { store_.reset(); }) : std::function<void()>(), "commit");
  if (next) failure_ = lasting_;
}

void ScatterWorker::leave() {
  std::function<void()> task;
  if (folder_) {
    task = [this] {
      if (job_.report.files == 0) {
        folder_->remove_made();
        return;
      }
      if (job_.options.common.fsync) folder_->sync();
      folder_->check_path();
    };
  }
  job_.run_task(task, "commit");
  if (job_.phases.failure()) job_.report_failure(*job_.phases.failure());
}

}  // namespace argosy::command
