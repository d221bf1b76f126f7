#include "command/fetch.h"

#include <algorithm>
#include <chrono>
#include <fstream>
#include <memory>
#include <optional>
#include <random>
#include <utility>

#include "base/activity.h"
#include "command/fetch_dealer.h"
#include "command/fetch_delivery.h"
#include "command/fetch_destination.h"
#include "command/fetch_layout.h"
#include "command/fetch_output.h"
#include "command/fetch_request.h"
#include "command/fetch_worker.h"
#include "command/frame_line.h"
#include "command/phases.h"
#include "command/place.h"
#include "command/shared_folder.h"
#include "file/beneath.h"
#include "file/download.h"

namespace argosy::command {

namespace {

using Clock = std::chrono::steady_clock;
using base::Kind;

constexpr std::chrono::milliseconds kStandingEvery(500);

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

std::vector<int> leaders_of(const mpi::Session& session) {
  std::vector<int> leaders;
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
    report_.seconds.scan = seconds_since(start);
    if (ready) {
      const auto begun = Clock::now();
      transfer();
      report_.seconds.transfer = seconds_since(begun);
      const auto moved = Clock::now();
      commit();
      report_.seconds.commit = seconds_since(moved);
    }
    Report whole = finish();
    whole.seconds.total = seconds_since(start);
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
        const std::size_t fewest = *std::min_element(layout_.fetching.begin(), layout_.fetching.end());
        settings.window = static_cast<int>(fewest);
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

  double now() const { return seconds_since(began_); }

  // --- transfer ---

  void transfer() {
    const auto rank = static_cast<std::size_t>(me_);
    const std::size_t slot = layout_.slot;
    const std::size_t fetching = layout_.fetching[rank];
    const bool member = std::find(layout_.members.begin(), layout_.members.end(), me_) != layout_.members.end();
    const std::size_t transit = member ? layout_.transit(me_) : 0;
    const std::size_t entering = member ? layout_.entering(me_) : 0;
    engine::Pool entering_pool(memory_.subspan(fetching * slot, entering * slot), slot);
    engine::Pool transit_pool(memory_.subspan((fetching + entering) * slot, transit * slot), slot);

    FetchWorker::Settings settings;
    settings.chunk_size = layout_.chunk_size;
    settings.origin = static_cast<std::uint64_t>(layout_.homes[rank]);
    settings.drop = layout_.members.empty();
    worker_ =
        std::make_unique<FetchWorker>(memory_.first(fetching * slot), settings, [this] { phases_.workers().wake(); });
    if (folder_) {
      downloads_.emplace(*folder_, options_.common.fsync);
      FetchDestination::Settings how;
      how.read_back = options_.common.read_back;
      destination_.emplace(phases_.workers(), *downloads_, how, [this](const Word& word) { say(word); });
    } else if (member) {
      output_.emplace(
          phases_.workers(), surroundings_.open_standard_output, [this](const Word& word) { say(word); },
          [this](std::uint64_t entry, std::int64_t bytes) { dealer_->written(entry, bytes); });
    }
    if (!layout_.members.empty()) {
      Delivery::Settings way;
      way.members = layout_.members;
      way.homes = layout_.homes;
      way.bwlimit = options_.common.bwlimit;
      if (member && layout_.members.size() > 1) {
        const auto place = std::find(layout_.members.begin(), layout_.members.end(), me_) - layout_.members.begin();
        way.credits = layout_.transit(layout_.members[(static_cast<std::size_t>(place) + 1) % layout_.members.size()]);
      }
      delivery_.emplace(session_.transport(), way, entering_pool, transit_pool,
                        [this](const engine::MessageUse& message) { arrived(message); });
    }
    if (me_ == 0) {
      down_.emplace(session_.transport(), core::Tag::kOrder, core::Tag::kWord, core::kAnyRank,
                    [this](int from, std::span<const std::byte> frame) { word_came(from, frame); });
    }
    up_.emplace(session_.transport(), core::Tag::kWord, core::Tag::kOrder, 0,
                [this](int, std::span<const std::byte> frame) { order_came(frame); });
    began_ = Clock::now();
    if (me_ == 0) {
      for (int other = 0; other < session_.size(); ++other) down_->send(other, encode(Order(request_.setup)));
    }
    run_phase();
    tell();
    // In this order: nothing comes any more, and what still lies in slots gives them back.
    up_.reset();
    down_.reset();
    delivery_.reset();
    output_.reset();
    destination_.reset();
    worker_.reset();
  }

  void run_phase() {
    Phase phase;
    phase.name = "transfer";
    phase.step = [this] { return step(); };
    phase.done = [this] { return done(); };
    phase.stop = [this] { stop(); };
    phase.verdict = [this] { return verdict(); };
    phase.status = [this] { return status(); };
    phase.sample = [this](double passed) {
      if (delivery_) delivery_->sample(passed);
    };
    interrupted_ = std::max(interrupted_, phases_.run(phase).interrupted);
  }

  void say(const Word& word) { up_->send(0, encode(word)); }

  void word_came(int from, std::span<const std::byte> frame) {
    const auto word = decode_word(frame);
    if (!word) throw base::Error(Kind::kIntegrity, {}, 0, "a word to rank 0 was damaged on its way");
    dealer_->take(from, *word, now());
  }

  void order_came(std::span<const std::byte> frame) {
    auto order = decode_order(frame);
    if (!order) throw base::Error(Kind::kIntegrity, {}, 0, "an order of rank 0 was damaged on its way");
    std::visit([this](auto& one) { obey(one); }, *order);
  }

  void obey(Setup& setup) { worker_->set_up(setup); }
  void obey(Look& look) {
    if (destination_) destination_->look(look);
  }
  void obey(Task& task) { worker_->add(std::move(task)); }
  void obey(Cut& cut) { worker_->cut(cut.task); }
  void obey(Pause& pause) { worker_->pause(pause); }
  void obey(Grant& grant) { worker_->grant(grant.entry); }
  void obey(End& end) {
    if (destination_) destination_->end(std::move(end));
    if (output_) output_->end(std::move(end));
  }
  void obey(Discard& discard) {
    if (destination_) destination_->discard(discard.entry);
    if (output_) output_->discard(discard.entry);
  }
  void obey(Finished& finished) {
    if (delivery_) {
      if (finished.counts.size() != layout_.members.size()) {
        throw base::Error(Kind::kIntegrity, {}, 0, "an order of rank 0 is about other members");
      }
      delivery_->expect(finished.counts);
    }
    finished_ = true;
  }

  void arrived(const engine::MessageUse& message) {
    if (destination_) destination_->arrived(message);
    if (output_) output_->arrived(message);
  }

  bool step() {
    bool any = take_products();
    if (dealer_) any = deal() || any;
    if (delivery_) any = delivery_->step() || any;
    if (destination_) any = destination_->step() || any;
    if (output_) any = step_output() || any;
    if (!finished_ && Clock::now() - stood_ >= kStandingEvery) {
      stood_ = Clock::now();
      for (const Word& word : worker_->standings()) say(word);
    }
    return any;
  }

  bool take_products() {
    std::vector<FetchWorker::Product> products = worker_->take();
    for (FetchWorker::Product& product : products) {
      if (product.slot != SIZE_MAX) {
        const auto bytes = worker_->bytes(product.slot).first(product.bytes);
        bytes_fetched_ += static_cast<std::int64_t>(product.bytes);
        delivery_->put(std::make_shared<const engine::Message>(
            static_cast<std::uint64_t>(layout_.homes[static_cast<std::size_t>(me_)]), bytes,
            [this, slot = product.slot] { worker_->release(slot); }));
      }
      for (const Word& word : product.words) say(word);
    }
    return !products.empty();
  }

  bool deal() {
    const std::vector<Dealer::Sent> orders = dealer_->deal(now());
    for (const Dealer::Sent& sent : orders) down_->send(sent.rank, encode(sent.order));
    phases_.expect(dealer_->bytes_known() * static_cast<std::int64_t>(std::max<std::size_t>(1, layout_.members.size())),
                   static_cast<std::int64_t>(dealer_->objects() * std::max<std::size_t>(1, layout_.members.size())));
    // To wait because an origin asked for it, or before another try, is no stall.
    if (dealer_->waits()) base::note_activity();
    if (!told_finished_ && dealer_->done() && (!output_ || output_->closed())) {
      told_finished_ = true;
      const Order finished = dealer_->finished();
      for (int other = 0; other < session_.size(); ++other) down_->send(other, encode(finished));
    }
    return !orders.empty();
  }

  bool step_output() {
    if (output_->failed()) {
      dealer_->stop();
      worker_->stop();
    }
    std::optional<FetchOutput::Head> head;
    if (const auto entry = dealer_->head()) {
      head = {*entry, dealer_->head_is_known(), dealer_->head_checksums()};
    }
    const bool any = output_->step(head);
    if (dealer_->done() || (output_->failed() && output_->idle())) output_->close();
    return any;
  }

  bool done() const {
    return finished_ && worker_->idle() && (!delivery_ || delivery_->done()) &&
           (!destination_ || destination_->idle()) && (!output_ || output_->idle()) && up_->idle() &&
           (!down_ || down_->idle());
  }

  void stop() {
    worker_->stop();
    if (dealer_) dealer_->stop();
    if (delivery_) delivery_->hurry();
  }

  std::vector<base::Failure> failures() const {
    std::vector<base::Failure> all;
    if (destination_) all = phases_.signed_here(destination_->failures());
    if (output_ && output_->failure()) all.push_back(phases_.signed_here({*output_->failure()}).front());
    // What an origin does wrong is no rank's.
    if (dealer_) all.insert(all.end(), dealer_->failures().begin(), dealer_->failures().end());
    if (interrupted_ != 0) {
      std::erase_if(all, [](const base::Failure& failure) { return failure.error_number == EINTR; });
    }
    return all;
  }

  mpi::Verdict verdict() const {
    mpi::Verdict mine;
    for (const base::Failure& failure : failures()) {
      ++mine.failed;
      if (base::more_telling(failure.kind, mine.failure.kind)) mine.failure = failure;
    }
    return mine;
  }

  engine::Pulse::Status status() const {
    engine::Pulse::Status status;
    if (destination_) {
      status.bytes = destination_->bytes_written();
      status.files = static_cast<std::uint64_t>(destination_->files());
    } else if (output_) {
      status.bytes = output_->bytes_written();
    }
    if (done()) return status;
    const int peer = delivery_ ? delivery_->waits_for() : core::kNobody;
    if (!worker_->idle()) {
      status.waits_for = me_;
      status.what = "an origin";
    } else if (peer != core::kNobody) {
      status.waits_for = peer;
      status.what = "a chunk to be taken";
    } else if (destination_ && !destination_->idle()) {
      status.waits_for = me_;
      status.what = "its own disk";
    } else if (me_ != 0) {
      status.waits_for = 0;
      status.what = "orders";
    }
    return status;
  }

  // Takes over into the report what was done on this rank.
  void tell() {
    const std::vector<base::Failure> all = failures();
    report_.errors.insert(report_.errors.end(), all.begin(), all.end());
    engine::Meter& meter = phases_.workers().meter();
    rank_.disk = meter.seconds(engine::Work::kDisk);
    rank_.hash = meter.seconds(engine::Work::kHash);
    rank_.bytes_read = bytes_fetched_;
    if (destination_) {
      report_.files = destination_->files();
      rank_.bytes_written = destination_->bytes_written();
    }
    if (output_) rank_.bytes_written = output_->bytes_written();
    if (delivery_ && delivery_->busy() > 0) rank_.links.push_back({delivery_->successor(), delivery_->busy()});
    if (!dealer_) return;
    report_.files = dealer_->files();
    report_.bytes = dealer_->bytes();
    report_.bytes_moved = dealer_->bytes_delivered();
    if (dealer_->objects() == 1 && dealer_->files() == 1) {
      if (dealer_->digest()) report_.digest = base::to_string(*dealer_->digest());
      report_.name = dealer_->name();
    }
  }

  void commit() {
    std::function<void()> task;
    if (folder_) {
      task = [this] {
        downloads_.reset();
        folder_->remove_made();  // where nothing was put
        if (options_.common.fsync && report_.files > 0) folder_->sync();
      };
    }
    goes_on(phases_.run_task("commit", task, [] { return mpi::Verdict{}; }));
  }

  Report finish() {
    report_.errors_total = static_cast<std::int64_t>(report_.errors.size());
    if (report_.errors.size() > kErrorsKept) report_.errors.resize(kErrorsKept);
    rank_.rank = me_;
    rank_.host = session_.host(me_);
    rank_.peak_rss = peak_rss();
    report_.ranks = {rank_};
    Report whole = phases_.finish(report_, interrupted_);
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
  std::optional<file::Downloads> downloads_;
  std::unique_ptr<FetchWorker> worker_;
  std::optional<FetchDestination> destination_;
  std::optional<FetchOutput> output_;
  std::optional<Delivery> delivery_;
  std::optional<FrameLine> down_;  // rank 0
  std::optional<FrameLine> up_;
  Clock::time_point began_;
  Clock::time_point stood_;
  bool told_finished_ = false;
  bool finished_ = false;
  std::int64_t bytes_fetched_ = 0;
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
