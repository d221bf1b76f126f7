#include "engine/dealer.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/activity.h"
#include "core/route.h"

namespace argosy::engine {

namespace {

// How often a chunk that arrives damaged is sent again.
constexpr int kTries = 4;

}  // namespace

Dealer::Dealer(core::Transport& transport, Workers& io, Pool& pool, core::Source& source, std::uint64_t entry,
               core::Stripe stripe, const std::vector<DealtWorker>& workers, Settings settings,
               std::function<void(std::size_t, const core::Cell&, std::int32_t)> told)
    : transport_(transport),
      io_(io),
      pool_(pool),
      source_(source),
      entry_(entry),
      stripe_(std::move(stripe)),
      settings_(settings),
      told_(std::move(told)),
      aligned_(stripe_.chunk_size() % base::kLeafSize == 0),
      serial_(!aligned_ || settings.open_ended),
      pacer_(settings.bwlimit),
      books_(workers.size()) {
  if (stripe_.parity() > 0) encoder_ = core::encoder(stripe_.data(), stripe_.parity());
  counts_.losses = stripe_.parity();
  for (const DealtWorker& worker : workers) {
    Peer& peer = peers_.emplace_back();
    peer.worker = worker;
    peer.local = !transport_.memory_of(worker.rank).empty();
  }
  for (std::size_t i = 0; i < peers_.size(); ++i) receive(i);
  all_read_ = !settings_.open_ended && stripe_.chunks() == 0;
  if (live() == 0) give_up();
}

Dealer::~Dealer() {
  for (Peer& peer : peers_) {
    if (peer.ticket) transport_.cancel(*peer.ticket);
  }
}

std::byte* Dealer::payload(std::size_t slot) const {
  return pool_.bytes(slot).data() + core::deal_head_bytes(settings_.bundle);
}

std::size_t Dealer::live() const {
  return static_cast<std::size_t>(
      std::count_if(peers_.begin(), peers_.end(), [](const Peer& peer) { return peer.worker.live; }));
}

bool Dealer::step() {
  const bool filled = fill();
  const bool sent = send_ready();
  return close() || filled || sent;
}

void Dealer::stop() {
  pacer_.hurry();
  give_up();
}

// --- dealing ------------------------------------------------------------------------------------------------------

std::size_t Dealer::place_in_order(std::uint32_t rank) const {
  const auto& workers = stripe_.workers();
  const auto found = std::find(workers.begin(), workers.end(), rank);
  return static_cast<std::size_t>(found - workers.begin());
}

// Who takes what `by_rule` should: itself, or while it can't one of the others in turn, best one that the rule gives
// nothing of the group.
std::size_t Dealer::choose(std::size_t by_rule, std::int64_t group) {
  if (peers_[by_rule].worker.live) return by_rule;
  const std::size_t count = peers_.size();
  const auto width = static_cast<std::size_t>(stripe_.width());
  const auto first = static_cast<std::size_t>(group * stripe_.data() % static_cast<std::int64_t>(count));
  std::optional<std::size_t> any;
  for (std::size_t i = 1; i <= count; ++i) {
    const std::size_t one = (adopter_ + i) % count;
    if (!peers_[one].worker.live) continue;
    const bool apart = (one + count - first) % count >= width;
    if (!any || apart) any = one;
    if (apart) break;
  }
  adopter_ = any.value_or(adopter_);
  return adopter_;
}

void Dealer::queue(std::size_t worker, ParcelUse parcel) {
  if (stopped_) {
    pool_.release(parcel->slot);
    return;
  }
  parcel->sent = false;
  parcel->again.clear();
  parcel->unanswered = parcel->chunks.size();
  for (Chunk& chunk : parcel->chunks) chunk.answered = false;
  const std::size_t taker = choose(worker, parcel->chunks.front().cell.group);
  for (Chunk& chunk : parcel->chunks) place(chunk, taker);
  // In the order of the file, so that nobody's rows are waited for long.
  auto& ready = peers_[taker].ready;
  const auto later = std::find_if(ready.begin(), ready.end(), [&](const ParcelUse& other) {
    return other->chunks.front().row > parcel->chunks.front().row;
  });
  ready.insert(later, std::move(parcel));
  ++waiting_;
}

bool Dealer::send_ready() {
  bool any = false;
  while (true) {
    std::size_t best = peers_.size();
    for (std::size_t i = 0; i < peers_.size(); ++i) {
      const Peer& peer = peers_[i];
      if (peer.ready.empty()) continue;
      const int window = peer.local ? settings_.window_local : settings_.window;
      if (static_cast<int>(peer.unanswered.size()) >= window) continue;
      if (!peer.local && in_flight_ >= settings_.in_flight) continue;
      if (best == peers_.size() ||
          peer.ready.front()->chunks.front().row < peers_[best].ready.front()->chunks.front().row) {
        best = i;
      }
    }
    if (best == peers_.size()) return any;
    if (!pacer_.may_send(peers_[best].ready.front()->payload)) return any;
    send(best);
    any = true;
  }
}

void Dealer::send(std::size_t worker) {
  Peer& peer = peers_[worker];
  const ParcelUse parcel = std::move(peer.ready.front());
  peer.ready.pop_front();
  --waiting_;
  core::Deal deal;
  deal.payload = static_cast<std::uint32_t>(parcel->payload);
  for (Chunk& chunk : parcel->chunks) {
    const core::Row row{chunk.digest, chunk.position, static_cast<std::uint32_t>(peer.worker.rank)};
    deal.chunks.push_back({chunk.row, core::place_of(chunk.cell, row), chunk.at,
                           static_cast<std::uint32_t>(chunk.cell.length), chunk.cell.offset, chunk.digest});
  }
  const auto slot = pool_.bytes(parcel->slot);
  const bool local = peer.local;
  if (local) {
    const auto offset = payload(parcel->slot) - transport_.memory_of(transport_.rank()).data();
    deal.memory = static_cast<std::uint64_t>(offset);
  }
  const std::size_t head = core::encode_deal(deal, slot);
  const std::size_t whole = core::deal_head_bytes(settings_.bundle) + parcel->payload;
  const std::uint64_t message = peer.messages++;
  peer.unanswered.emplace(message, parcel);
  ++sends_;
  in_flight_ += local ? 0 : 1;
  transport_.send(peer.worker.rank, core::Tag::kStripe, slot.first(local ? head : whole),
                  [this, worker, message, parcel, local] {
                    --sends_;
                    in_flight_ -= local ? 0 : 1;
                    parcel->sent = true;
                    base::note_activity();
                    settle(worker, message);
                  });
}

// --- receipts -----------------------------------------------------------------------------------------------------

void Dealer::receive(std::size_t worker) {
  Peer& peer = peers_[worker];
  peer.receipts.resize(core::kReceiptsBytes);
  peer.ticket = transport_.receive(
      peer.worker.rank, core::Tag::kStripeReceipt, peer.receipts, [this, worker](int, std::size_t bytes) {
        Peer& from = peers_[worker];
        from.ticket.reset();
        const auto receipts = core::decode_receipts(std::span(from.receipts).first(bytes));
        if (!receipts) throw base::Error(base::Kind::kIntegrity, {}, 0, "a damaged acknowledgement arrived");
        for (const core::StripeReceipt& receipt : *receipts) received(worker, receipt);
        base::note_activity();
        receive(worker);
      });
}

void Dealer::received(std::size_t worker, const core::StripeReceipt& receipt) {
  const auto found = peers_[worker].unanswered.find(receipt.message);
  if (found == peers_[worker].unanswered.end()) {
    throw base::Error(base::Kind::kIntegrity, {}, 0, "an acknowledgement of a message that was not sent");
  }
  const ParcelUse parcel = found->second;
  bool known = false;
  for (Chunk& chunk : parcel->chunks) {
    if (chunk.answered || (receipt.row != core::kWholeMessage && chunk.row != receipt.row)) continue;
    known = true;
    answer(worker, chunk, *parcel, receipt.error_number);
  }
  if (!known) throw base::Error(base::Kind::kIntegrity, {}, 0, "an acknowledgement of a chunk that was not sent");
  settle(worker, receipt.message);
}

void Dealer::answer(std::size_t worker, Chunk& chunk, Parcel& parcel, std::int32_t error_number) {
  chunk.answered = true;
  --parcel.unanswered;
  Book& book = books_[worker];
  told_(worker, chunk.cell, error_number);
  if (error_number == 0) {
    ++book.acknowledged;
    stored(worker, chunk);
    return;
  }
  ++book.failed;
  Chunk again = chunk;
  // What was damaged on its way is sent again; it says nothing against the worker yet.
  const bool damaged = error_number == EBADMSG && ++again.damaged < kTries;
  parcel.again.push_back(again);
  if (!damaged) worker_failed(worker, error_number);
}

void Dealer::settle(std::size_t worker, std::uint64_t message) {
  auto& unanswered = peers_[worker].unanswered;
  const auto found = unanswered.find(message);
  if (found == unanswered.end()) return;
  const ParcelUse parcel = found->second;
  if (parcel->unanswered > 0 || !parcel->sent) return;
  unanswered.erase(found);
  if (parcel->again.empty()) {
    pool_.release(parcel->slot);
    return;
  }
  parcel->chunks = std::move(parcel->again);
  queue(worker, parcel);
}

void Dealer::worker_failed(std::size_t worker, std::int32_t error_number) {
  Peer& peer = peers_[worker];
  if (!peer.worker.live) return;
  peer.worker.live = false;
  books_[worker].error_number = error_number;
  if (live() == 0) return give_up();
  std::deque<ParcelUse> rest;
  rest.swap(peer.ready);
  waiting_ -= rest.size();
  for (ParcelUse& parcel : rest) queue(worker, std::move(parcel));
}

void Dealer::give_up() {
  if (stopped_) return;
  stopped_ = true;
  all_read_ = true;
  for (Peer& peer : peers_) {
    for (const ParcelUse& parcel : peer.ready) pool_.release(parcel->slot);
    waiting_ -= peer.ready.size();
    peer.ready.clear();
  }
}

// --- the table ----------------------------------------------------------------------------------------------------

void Dealer::stored(std::size_t worker, const Chunk& chunk) {
  const auto rank = static_cast<std::uint32_t>(peers_[worker].worker.rank);
  counts_.stored += chunk.cell.length;
  if (stripe_.worker_of(chunk.cell) != rank) ++counts_.moved;
  rows_.emplace(chunk.row, core::Row{chunk.digest, chunk.position, rank});
  flush_rows();
}

void Dealer::flush_rows() {
  while (!rows_.empty() && rows_.begin()->first == next_row_) {
    const core::Row row = rows_.begin()->second;
    rows_.erase(rows_.begin());
    // While the end is not known every group counts as full.
    const core::Cell cell = stripe_.cell(next_row_);
    holders_.push_back(row.holder);
    const int width = stripe_.rows_in(cell.group);
    if (static_cast<int>(holders_.size()) == width) {
      counts_.losses = std::min(counts_.losses, core::losses_stood(holders_, width - stripe_.parity()));
      holders_.clear();
    }
    page_.resize(page_.size() + core::kRowBytes);
    core::encode_row(
        row, next_row_, settings_.key,
        std::span<std::byte, core::kRowBytes>(page_.data() + page_.size() - core::kRowBytes, core::kRowBytes));
    ++next_row_;
    if (next_row_ - page_first_ == core::kRowsAPage) send_page();
  }
}

void Dealer::send_page() {
  auto message = std::make_shared<std::vector<std::byte>>(core::kTableHeadBytes + page_.size());
  core::encode_table_head(page_first_,
                          std::span<std::byte, core::kTableHeadBytes>(message->data(), core::kTableHeadBytes));
  std::memcpy(message->data() + core::kTableHeadBytes, page_.data(), page_.size());
  table_sum_ += base::digest_of(page_, page_first_ * static_cast<std::int64_t>(core::kRowBytes));
  for (const Peer& peer : peers_) {
    if (!peer.worker.leads) continue;
    ++sends_;
    ++page_sends_;
    transport_.send(peer.worker.rank, core::Tag::kTable, *message, [this, message] {
      --sends_;
      --page_sends_;
    });
  }
  page_.clear();
  page_first_ = next_row_;
}

// --- the end ------------------------------------------------------------------------------------------------------

bool Dealer::idle() const {
  return reading_ == 0 && waiting_ == 0 &&
         std::all_of(peers_.begin(), peers_.end(), [](const Peer& peer) { return peer.unanswered.empty(); });
}

// Once everything is answered the source is looked at for the last time, and the workers are told the end.
bool Dealer::close() {
  if (ended_ || closing_ || !all_read_ || !idle()) return false;
  if (closed_) {
    send_end();
    return true;
  }
  for (auto& [group, sums] : sums_) {
    for (const std::size_t slot : sums->slots) pool_.release(slot);
  }
  sums_.clear();
  closing_ = true;
  auto failure = std::make_shared<std::optional<base::Failure>>();
  io_.post(
      [this, failure] {
        try {
          source_.close(entry_);
        } catch (const base::Error& error) {
          *failure = error.failure();
        }
      },
      [this, failure] {
        closing_ = false;
        closed_ = true;
        if (*failure && !failure_) failure_ = *failure;
        if (failure_) give_up();
      });
  return true;
}

void Dealer::send_end() {
  ended_ = true;
  whole_ = !stopped_ && next_row_ == stripe_.rows();
  if (whole_) {
    if (!page_.empty()) send_page();
    counts_.digest = aligned_ ? base::close_digest(sum_, stripe_.size()) : stream_.finish();
    counts_.table_digest = base::close_digest(table_sum_, stripe_.rows() * static_cast<std::int64_t>(core::kRowBytes));
  }
  core::Deal deal;
  deal.end = true;
  deal.rows = whole_ ? stripe_.rows() : -1;
  auto message = std::make_shared<std::vector<std::byte>>(core::deal_head_bytes(0));
  message->resize(core::encode_deal(deal, *message));
  for (const Peer& peer : peers_) {
    ++sends_;
    transport_.send(peer.worker.rank, core::Tag::kStripe, *message, [this, message] { --sends_; });
  }
}

std::pair<int, std::string> Dealer::waits_for() const {
  if (done()) return {core::kNobody, {}};
  if (reading_ > 0 || closing_) return {transport_.rank(), "its own source"};
  for (const Peer& peer : peers_) {
    if (!peer.unanswered.empty()) return {peer.worker.rank, "its acknowledgement"};
  }
  return {core::kNobody, {}};
}

}  // namespace argosy::engine
