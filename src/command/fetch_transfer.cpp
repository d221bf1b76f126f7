#include "command/fetch_transfer.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <optional>
#include <utility>

#include "base/activity.h"
#include "command/fetch_delivery.h"
#include "command/fetch_destination.h"
#include "command/fetch_output.h"
#include "command/fetch_worker.h"
#include "command/frame_line.h"
#include "file/download.h"

namespace argosy::command {

namespace {

using Clock = std::chrono::steady_clock;
using base::Kind;

constexpr std::chrono::milliseconds kStandingEvery(500);

}  // namespace

class FetchTransfer::Rank {
 public:
  explicit Rank(const FetchTransfer::Task& task) : task_(task), me_(task.session.rank()) {}

  int run() {
    const auto rank = static_cast<std::size_t>(me_);
    const std::size_t slot = task_.layout.slot;
    const std::size_t fetching = task_.layout.fetching[rank];
    const bool member =
        std::find(task_.layout.members.begin(), task_.layout.members.end(), me_) != task_.layout.members.end();
    const std::size_t transit = member ? task_.layout.transit(me_) : 0;
    const std::size_t entering = member ? task_.layout.entering(me_) : 0;
    engine::Pool entering_pool(task_.memory.subspan(fetching * slot, entering * slot), slot);
    engine::Pool transit_pool(task_.memory.subspan((fetching + entering) * slot, transit * slot), slot);

    FetchWorker::Settings settings;
    settings.chunk_size = task_.layout.chunk_size;
    settings.origin = static_cast<std::uint64_t>(task_.layout.homes[rank]);
    settings.drop = task_.layout.members.empty();
    worker_ = std::make_unique<FetchWorker>(task_.memory.first(fetching * slot), settings,
                                            [this] { task_.phases.workers().wake(); });
    if (task_.folder != nullptr) {
      downloads_.emplace(*task_.folder, task_.options.fsync);
      FetchDestination::Settings how;
      how.read_back = task_.options.read_back;
      destination_.emplace(task_.phases.workers(), *downloads_, how, [this](const Word& word) { say(word); });
    } else if (member) {
      output_.emplace(
          task_.phases.workers(), task_.surroundings.open_standard_output, [this](const Word& word) { say(word); },
          [this](std::uint64_t entry, std::int64_t bytes, bool shown) { task_.dealer->written(entry, bytes, shown); });
    }
    if (!task_.layout.members.empty()) {
      Delivery::Settings way;
      way.members = task_.layout.members;
      way.homes = task_.layout.homes;
      way.bwlimit = task_.options.bwlimit;
      if (member && task_.layout.members.size() > 1) {
        const auto place =
            std::find(task_.layout.members.begin(), task_.layout.members.end(), me_) - task_.layout.members.begin();
        way.credits = task_.layout.transit(
            task_.layout.members[(static_cast<std::size_t>(place) + 1) % task_.layout.members.size()]);
      }
      delivery_.emplace(task_.session.transport(), way, entering_pool, transit_pool,
                        [this](const engine::MessageUse& message) { arrived(message); });
    }
    if (me_ == 0) {
      down_.emplace(task_.session.transport(), core::Tag::kOrder, core::Tag::kWord, core::kAnyRank,
                    [this](int from, std::span<const std::byte> frame) { word_came(from, frame); });
    }
    up_.emplace(task_.session.transport(), core::Tag::kWord, core::Tag::kOrder, 0,
                [this](int, std::span<const std::byte> frame) { order_came(frame); });
    began_ = Clock::now();
    if (me_ == 0) {
      for (int other = 0; other < task_.session.size(); ++other) down_->send(other, encode(Order(*task_.setup)));
    }
    run_phase();
    // What is asked for afterwards is what they have come to; then, as nothing comes any more, they give back what lies
    // in slots.
    failures_ = failures();
    keep_counts();
    // In this order: nothing comes any more, and what still lies in slots gives them back.
    up_.reset();
    down_.reset();
    delivery_.reset();
    output_.reset();
    destination_.reset();
    worker_.reset();
    return interrupted_;
  }

  void tell(Report& report, RankReport& rank) const {
    report.errors.insert(report.errors.end(), failures_.begin(), failures_.end());
    engine::Meter& meter = task_.phases.workers().meter();
    rank.disk = meter.seconds(engine::Work::kDisk);
    rank.hash = meter.seconds(engine::Work::kHash);
    rank.bytes_read = bytes_fetched_;
    rank.bytes_written = bytes_written_;
    report.files = files_;
    if (link_) rank.links.push_back(*link_);
    if (task_.dealer == nullptr) return;
    const Dealer& dealer = *task_.dealer;
    report.files = dealer.files();
    report.bytes = dealer.bytes();
    report.bytes_moved = dealer.bytes_delivered();
    if (dealer.objects() != 1 || dealer.files() != 1) return;
    if (dealer.digest()) report.digest = base::to_string(*dealer.digest());
    report.name = dealer.name();
  }

  void remove_unfinished() { downloads_.reset(); }

 private:
  double now() const { return std::chrono::duration<double>(Clock::now() - began_).count(); }

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
    interrupted_ = std::max(interrupted_, task_.phases.run(phase).interrupted);
  }

  void say(const Word& word) { up_->send(0, encode(word)); }

  void word_came(int from, std::span<const std::byte> frame) {
    const auto word = decode_word(frame);
    if (!word) throw base::Error(Kind::kIntegrity, {}, 0, "a word to rank 0 was damaged on its way");
    task_.dealer->take(from, *word, now());
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
  void obey(command::Task& task) { worker_->add(std::move(task)); }
  void obey(Cut& cut) { worker_->cut(cut.task); }
  void obey(Pause& pause) { worker_->pause(pause); }
  void obey(Speed& speed) { worker_->set_rate(speed.rate); }
  void obey(Grant& grant) { worker_->grant(grant.entry); }
  void obey(End& end) {
    if (destination_) {
      destination_->end(std::move(end));
    } else if (output_) {
      output_->end(std::move(end));
    }
  }
  void obey(Pinned& pinned) {
    if (destination_) destination_->pinned(pinned);
  }
  void obey(Keep& keep) {
    if (destination_) destination_->keep(keep);
  }
  void obey(Discard& discard) {
    if (destination_) destination_->discard(discard.entry, discard.stays);
    if (output_) output_->discard(discard.entry);
  }
  void obey(Finished& finished) {
    if (delivery_) {
      if (finished.counts.size() != task_.layout.members.size()) {
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
    if (task_.dealer != nullptr) any = deal() || any;
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
            static_cast<std::uint64_t>(task_.layout.homes[static_cast<std::size_t>(me_)]), bytes,
            [this, slot = product.slot] { worker_->release(slot); }));
      }
      for (const Word& word : product.words) say(word);
    }
    return !products.empty();
  }

  bool deal() {
    const std::vector<Dealer::Sent> orders = task_.dealer->deal(now());
    for (const Dealer::Sent& sent : orders) down_->send(sent.rank, encode(sent.order));
    const auto members = static_cast<std::int64_t>(std::max<std::size_t>(1, task_.layout.members.size()));
    const std::int64_t known = task_.dealer->bytes_known();
    task_.phases.expect(known < 0 ? known : known * members,
                        static_cast<std::int64_t>(task_.dealer->objects()) * members);
    // To wait because an origin asked for it, or before another try, is no stall.
    if (task_.dealer->waits(now())) base::note_activity();
    if (!told_finished_ && task_.dealer->done() && (!output_ || output_->closed())) {
      told_finished_ = true;
      const Order finished = task_.dealer->finished();
      for (int other = 0; other < task_.session.size(); ++other) down_->send(other, encode(finished));
    }
    return !orders.empty();
  }

  bool step_output() {
    if (output_->failed()) {
      task_.dealer->stop();
      worker_->stop();
    }
    std::optional<FetchOutput::Head> head;
    if (const auto entry = task_.dealer->head()) {
      head = {*entry, task_.dealer->head_is_known(), task_.dealer->head_is_checked()};
    }
    const bool any = output_->step(head);
    if (task_.dealer->done() || (output_->failed() && output_->idle())) output_->close();
    return any;
  }

  bool done() const {
    return finished_ && worker_->idle() && (!delivery_ || delivery_->done()) &&
           (!destination_ || destination_->idle()) && (!output_ || output_->idle()) && up_->idle() &&
           (!down_ || down_->idle());
  }

  void stop() {
    worker_->stop();
    if (task_.dealer != nullptr) task_.dealer->stop();
    if (delivery_) delivery_->hurry();
  }

  std::vector<base::Failure> failures() const {
    std::vector<base::Failure> all;
    if (destination_) all = task_.phases.signed_here(destination_->failures());
    if (output_ && output_->failure()) all.push_back(task_.phases.signed_here({*output_->failure()}).front());
    if (task_.dealer != nullptr) {
      for (base::Failure failure : task_.dealer->failures()) {
        // Who has asked.
        if (failure.rank >= 0) failure.host = task_.session.host(failure.rank);
        all.push_back(std::move(failure));
      }
    }
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
      status.bytes = destination_->bytes_written() + destination_->bytes_held();
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

  void keep_counts() {
    if (destination_) {
      files_ = destination_->files();
      bytes_written_ = destination_->bytes_written();
    }
    if (output_) bytes_written_ = output_->bytes_written();
    if (!delivery_ || delivery_->busy() <= 0) return;
    link_.emplace();
    link_->to = delivery_->successor();
    link_->busy = delivery_->busy();
  }

  const FetchTransfer::Task task_;
  const int me_;
  int interrupted_ = 0;
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
  // What was done, kept when those that did it are gone.
  std::int64_t bytes_fetched_ = 0;
  std::int64_t bytes_written_ = 0;
  std::int64_t files_ = 0;
  std::optional<LinkReport> link_;
  std::vector<base::Failure> failures_;
};

FetchTransfer::FetchTransfer(const Task& task) : rank_(std::make_unique<Rank>(task)) {}
FetchTransfer::~FetchTransfer() = default;
int FetchTransfer::run() { return rank_->run(); }
void FetchTransfer::tell(Report& report, RankReport& rank) const { rank_->tell(report, rank); }
void FetchTransfer::remove_unfinished() { rank_->remove_unfinished(); }

}  // namespace argosy::command
