#include "command/fetch.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>
#include <random>
#include <utility>

#include "base/seconds.h"
#include "command/fetch_dealer.h"
#include "command/fetch_layout.h"
#include "command/fetch_manifest.h"
#include "command/fetch_request.h"
#include "command/fetch_transfer.h"
#include "command/phases.h"
#include "command/place.h"
#include "command/shared_folder.h"
#include "file/beneath.h"

namespace argosy::command {

namespace {

using Clock = std::chrono::steady_clock;
using base::Kind;

std::vector<int> leaders_of(const mpi::Session& session) {
  std::vector<int> leaders;
  leaders.reserve(static_cast<std::size_t>(session.size()));
  for (int rank = 0; rank < session.size(); ++rank) leaders.push_back(session.node_of(rank));
  return leaders;
}

class Fetch {
 public:
  Fetch(const Options& options, const FetchOptions& asked, mpi::Session& session, const Surroundings& surroundings,
        FetchLayout layout)
      : options_(options),
        asked_(asked),
        session_(session),
        surroundings_(surroundings),
        me_(session.rank()),
        leaders_(leaders_of(session)),
        layout_(std::move(layout)),
        phases_(session, options.common, surroundings.observer) {
    report_.command = "fetch";
  }

  Report run() {
    const auto start = Clock::now();
    memory_ = session_.allocate_pool(layout_.slot * layout_.slots[static_cast<std::size_t>(me_)]);
    if (surroundings_.observer != nullptr) surroundings_.observer->started();
    const bool ready = scan() && make_folders();
    report_.seconds.scan = base::seconds_since(start);
    if (ready) {
      const auto begun = Clock::now();
      FetchTransfer::Task task{options_.common, surroundings_, session_, phases_, layout_, memory_};
      task.folder = folder_ ? &*folder_ : nullptr;
      task.dealer = dealer_.get();
      task.setup = &request_.setup;
      transfer_ = std::make_unique<FetchTransfer>(task);
      interrupted_ = std::max(interrupted_, transfer_->run());
      transfer_->tell(report_, rank_);
      report_.seconds.transfer = base::seconds_since(begun);
      const auto moved = Clock::now();
      commit();
      report_.seconds.commit = base::seconds_since(moved);
    }
    Report whole = finish();
    whole.seconds.total = base::seconds_since(start);
    return whole;
  }

 private:
  Dealer::Mode mode() const {
    if (!asked_.to_output) return Dealer::Mode::kFiles;
    return options_.common.json ? Dealer::Mode::kHeads : Dealer::Mode::kOutput;
  }

  // Reads what there is to fetch. False when the job ends here.
  bool scan() {
    std::function<void()> look;
    if (me_ == 0) {
      look = [this] {
        request_ = read_request(asked_, options_.start_directory, surroundings_.open_standard_input);
        request_.setup.all_fields = mode() == Dealer::Mode::kHeads;
        request_.setup.rate = asked_.rate;
        Dealer::Settings settings;
        settings.mode = mode();
        settings.connections = asked_.connections;
        settings.rate = asked_.rate;
        settings.retries = asked_.retries;
        settings.rename = asked_.rename;
        settings.chunk_size = layout_.chunk_size;
        for (const std::size_t slots : layout_.fetching) {
          settings.seats.push_back(std::min(asked_.connections, static_cast<int>(slots)));
        }
        settings.window = layout_.output_window();
        settings.chance = std::random_device()();
        dealer_ = std::make_unique<Dealer>(std::move(request_.wanted), settings);
      };
    }
    return goes_on(phases_.run_task("scan", look, [] { return mpi::Verdict{}; }));
  }

  bool wants() const {
    if (mode() == Dealer::Mode::kHeads) return false;
    if (mode() == Dealer::Mode::kOutput) return me_ == 0;
    if (!asked_.to_all) return me_ == asked_.to;
    return asked_.directory.find("%r") != std::string::npos || session_.node_of(me_) == me_;
  }

  // Makes the folders, and finds out who writes. False when the job ends here.
  bool make_folders() {
    if (mode() == Dealer::Mode::kFiles) {
      std::function<void()> make;
      if (wants()) {
        make = [this] {
          const std::string folder = expand(asked_.directory, me_, session_.host(me_));
          folder_.emplace(absolute(options_.start_directory, folder), 0);
        };
      }
      const mpi::Verdict made = phases_.run_task("scan", make, [this] {
        mpi::Verdict mine;
        mine.succeeded = folder_ ? 1 : 0;
        return mine;
      });
      // A node whose folder can't be made is reported and left out, as long as there is another.
      if (made.succeeded == 0 || made.interrupted != 0) return goes_on(made);
      if (made.failed > 0 && phases_.failure()) report_.errors.push_back(*phases_.failure());
      if (asked_.to_all && !is_lowest_of_folder(phases_, folder_ ? &*folder_ : nullptr)) folder_.reset();
    }
    const bool writes = folder_ || (mode() == Dealer::Mode::kOutput && me_ == 0);
    settle_members(layout_, leaders_, session_.exchange(writes ? 1 : 0));
    if (dealer_) dealer_->set_members(layout_.members, layout_.homes);
    return true;
  }

  bool goes_on(const mpi::Verdict& verdict) {
    interrupted_ = std::max(interrupted_, verdict.interrupted);
    if (phases_.failure()) report_.errors.push_back(*phases_.failure());
    return verdict.failure.kind == Kind::kNone && interrupted_ == 0;
  }

  void commit() {
    std::function<void()> task;
    if (folder_) {
      task = [this] {
        transfer_->remove_unfinished();
        folder_->remove_made();  // where nothing was put
        if (report_.files > 0) folder_->check_path();
        if (options_.common.fsync && report_.files > 0) folder_->sync();
      };
    }
    goes_on(phases_.run_task("commit", task, [] { return mpi::Verdict{}; }));
    if (!asked_.save_manifest.empty()) save_manifest();
  }

  // What stands there now, told by the first rank that writes. Not of a fetch of which nothing came, or an interrupted
  // one.
  void save_manifest() {
    const int saver = layout_.members.front();
    const bool any = dealer_ && dealer_->files() > 0 && interrupted_ == 0;
    std::string text = any ? text_of(dealer_->placed()) : std::string();
    if (saver != 0) text = session_.exchange(text)[0];
    std::function<void()> task;
    if (!text.empty() && folder_ && saver == me_) {
      const std::string path = absolute(options_.start_directory, asked_.save_manifest);
      task = [this, path, &text] { save_fetched(path, text, *folder_); };
    }
    goes_on(phases_.run_task("commit", task, [] { return mpi::Verdict{}; }));
  }

  Report finish() {
    Report whole = phases_.finish(std::move(report_), rank_, interrupted_);
    if (me_ != 0) return whole;
    FetchReport fetch;
    fetch.to_output = asked_.to_output;
    fetch.with_responses = mode() == Dealer::Mode::kHeads;
    if (dealer_) {
      for (auto [host, origin] : dealer_->ledger()) {
        origin.host = host;
        fetch.origins.push_back(origin);
      }
      fetch.received = dealer_->bytes_received();
      fetch.delivered = dealer_->bytes_delivered();
      fetch.in_place = dealer_->in_place();
      fetch.resumed = dealer_->bytes_resumed();
      if (fetch.with_responses) fetch.responses = dealer_->responses();
    }
    whole.fetch = std::move(fetch);
    return whole;
  }

  const Options& options_;
  const FetchOptions& asked_;
  mpi::Session& session_;
  const Surroundings& surroundings_;
  int me_;
  std::vector<int> leaders_;
  FetchLayout layout_;
  Phases phases_;
  int interrupted_ = 0;
  std::span<std::byte> memory_;
  std::optional<file::Folder> folder_;
  FetchRequest request_;            // rank 0
  std::unique_ptr<Dealer> dealer_;  // rank 0
  std::unique_ptr<FetchTransfer> transfer_;
  RankReport rank_;
  Report report_;
};

}  // namespace

Report fetch(const Options& options, const FetchOptions& asked, mpi::Session& session,
             const Surroundings& surroundings) {
  if (!asked.to_all && asked.to >= session.size()) {
    return wrong_usage("fetch", "--to: rank " + std::to_string(asked.to) + " is out of range: the ranks are 0 to " +
                                    std::to_string(session.size() - 1));
  }
  try {
    FetchLayout layout = plan_memory(options.common, asked.connections, leaders_of(session));
    return Fetch(options, asked, session, surroundings, std::move(layout)).run();
  } catch (const base::Error& error) {
    if (error.failure().kind != Kind::kUsage) throw;
    return wrong_usage("fetch", error.failure().message);
  }
}

}  // namespace argosy::command
