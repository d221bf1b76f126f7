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
               core::Stripe stripe, std::vector<DealtWorker> workers, Settings settings,
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

// --- reading ------------------------------------------------------------------------------------------------------

bool Dealer::may_fill() const {
  const std::size_t most = serial_ ? 1 : settings_.ahead;
  return !all_read_ && !stopped_ && reading_ < most && waiting_ < settings_.ahead + peers_.size() && page_sends_ == 0;
}

bool Dealer::fill() {
  bool any = false;
  while (may_fill()) {
    if (!(settings_.bundle > 1 ? fill_band() : fill_one())) break;
    any = true;
  }
  return any;
}

bool Dealer::fill_one() {
  const std::int64_t group = stripe_.group_of_chunk(next_chunk_);
  const bool opens = stripe_.parity() > 0 && !sums_.contains(group);
  // All that a group needs at once: half of it would keep the other half from coming free.
  const std::size_t needed = 1 + (opens ? static_cast<std::size_t>(stripe_.parity()) : 0);
  if (pool_.free() < needed) return false;
  std::shared_ptr<Sums> sums;
  if (opens) {
    sums = std::make_shared<Sums>();
    sums->group = group;
    for (int i = 0; i < stripe_.parity(); ++i) {
      sums->slots.push_back(*pool_.acquire());
      sums->bytes.push_back(payload(sums->slots.back()));
    }
    sums_.emplace(group, sums);
  } else if (stripe_.parity() > 0) {
    sums = sums_.at(group);
  }
  const std::size_t slot = *pool_.acquire();
  const std::int64_t chunk = next_chunk_++;
  if (!settings_.open_ended) all_read_ = next_chunk_ == stripe_.chunks();
  ++reading_;
  auto result = std::make_shared<Filled>();
  io_.post([this, chunk, slot, sums, result] { read_one(chunk, slot, sums.get(), *result); },
           [this, sums, result] {
             if (sums && !result->parcels.empty()) ++sums->added;
             filled(std::move(*result));
             if (sums) finish_sums(sums);
           });
  return true;
}

std::size_t Dealer::read(std::int64_t offset, std::span<std::byte> into) {
  const Timed timed(io_.meter(), Work::kSource);
  return source_.read(entry_, offset, into);
}

void Dealer::read_one(std::int64_t chunk, std::size_t slot, Sums* sums, Filled& filled) {
  Chunk one;
  one.row = stripe_.row_of_chunk(chunk);
  one.cell = stripe_.cell(one.row);
  const std::span<std::byte> into(payload(slot), static_cast<std::size_t>(one.cell.length));
  try {
    const std::size_t got = read(one.cell.offset, into);
    filled.end = got < into.size();
    filled.bytes = static_cast<std::int64_t>(got);
    one.cell.length = filled.bytes;
    const auto data = into.first(got);
    one.digest = timed_digest(io_.meter(), data, one.cell.offset);
    if (!aligned_) stream_.add(data);
    if (sums != nullptr && got > 0) {
      const std::lock_guard lock(sums->mutex);
      if (!sums->zeroed) {
        const auto most = static_cast<std::size_t>(
            std::min(stripe_.chunk_size(), stripe_.size() - sums->group * stripe_.data() * stripe_.chunk_size()));
        for (std::byte* const bytes : sums->bytes) std::memset(bytes, 0, most);
        sums->zeroed = true;
      }
      encoder_->add(one.cell.index, data, sums->bytes);
    }
    base::note_activity();
  } catch (const base::Error& error) {
    filled.failure = error.failure();
  }
  if (filled.failure || filled.bytes == 0) {
    filled.unused.push_back(slot);
    return;
  }
  auto parcel = std::make_shared<Parcel>();
  parcel->slot = slot;
  parcel->payload = static_cast<std::size_t>(filled.bytes);
  parcel->chunks.push_back(one);
  filled.parcels.emplace_back(place_in_order(stripe_.worker_of(one.cell)), std::move(parcel));
}

bool Dealer::fill_band() {
  const auto workers = peers_.size();
  if (pool_.free() < workers) return false;
  std::vector<std::size_t> slots;
  for (std::size_t i = 0; i < workers; ++i) slots.push_back(*pool_.acquire());
  const std::int64_t group = stripe_.group_of_chunk(next_chunk_);
  const std::int64_t groups = std::min(static_cast<std::int64_t>(settings_.bundle), stripe_.groups() - group);
  next_chunk_ = std::min(stripe_.chunks(), (group + groups) * stripe_.data());
  if (!settings_.open_ended) all_read_ = next_chunk_ == stripe_.chunks();
  ++reading_;
  auto result = std::make_shared<Filled>();
  io_.post([this, group, groups, slots, result] { read_band(group, groups, slots, *result); },
           [this, result] { filled(std::move(*result)); });
  return true;
}

void Dealer::read_band(std::int64_t group, std::int64_t groups, const std::vector<std::size_t>& slots,
                       Filled& filled) {
  const std::int64_t chunk_size = stripe_.chunk_size();
  const std::int64_t first = group * stripe_.data();
  const std::int64_t begin = first * chunk_size;
  const std::int64_t length = std::min(groups * stripe_.data() * chunk_size, stripe_.size() - begin);
  std::vector<std::byte> band(static_cast<std::size_t>(length));
  std::vector<ParcelUse> parcels(slots.size());
  try {
    const std::size_t got = read(begin, band);
    filled.end = got < band.size();
    filled.bytes = static_cast<std::int64_t>(got);
    const auto data = std::span<const std::byte>(band).first(got);
    if (!aligned_) stream_.add(data);
    const core::Stripe stripe(filled.end ? begin + filled.bytes : stripe_.size(), chunk_size, stripe_.workers(),
                              stripe_.parity());
    const auto place = [&](std::int64_t row) -> Chunk& {
      Chunk chunk;
      chunk.row = row;
      chunk.cell = stripe.cell(row);
      const std::size_t worker = place_in_order(stripe.worker_of(chunk.cell));
      ParcelUse& parcel = parcels[worker];
      if (!parcel) {
        parcel = std::make_shared<Parcel>();
        parcel->slot = slots[worker];
      }
      chunk.at = static_cast<std::uint32_t>(parcel->payload);
      parcel->payload += static_cast<std::size_t>(chunk.cell.length);
      parcel->chunks.push_back(chunk);
      return parcel->chunks.back();
    };
    const auto at = [&](const Chunk& chunk) {
      return payload(slots[place_in_order(stripe.worker_of(chunk.cell))]) + chunk.at;
    };
    for (std::int64_t one = group; one < std::min(group + groups, stripe.groups()); ++one) {
      std::vector<std::byte*> sums;
      const std::int64_t row = stripe.first_row(one);
      const int count = stripe.data_in(one);
      std::vector<std::pair<int, std::span<const std::byte>>> inputs;
      for (int i = 0; i < count; ++i) {
        Chunk& chunk = place(row + i);
        const auto bytes = data.subspan(static_cast<std::size_t>(chunk.cell.offset - begin),
                                        static_cast<std::size_t>(chunk.cell.length));
        std::memcpy(at(chunk), bytes.data(), bytes.size());
        chunk.digest = base::digest_of(bytes, chunk.cell.offset);
        inputs.emplace_back(chunk.cell.index, bytes);
      }
      std::vector<Chunk*> parity;
      for (int i = 0; i < stripe.parity(); ++i) {
        Chunk& chunk = place(row + count + i);
        std::memset(at(chunk), 0, static_cast<std::size_t>(chunk.cell.length));
        sums.push_back(at(chunk));
        parity.push_back(&chunk);
      }
      if (sums.empty()) continue;
      for (const auto& [index, bytes] : inputs) encoder_->add(index, bytes, sums);
      for (std::size_t i = 0; i < sums.size(); ++i) {
        const core::Cell& cell = parity[i]->cell;
        parity[i]->digest =
            base::digest_of(std::span<const std::byte>(sums[i], static_cast<std::size_t>(cell.length)), cell.offset);
      }
    }
    base::note_activity();
  } catch (const base::Error& error) {
    filled.failure = error.failure();
    parcels.assign(slots.size(), nullptr);
  }
  for (std::size_t i = 0; i < slots.size(); ++i) {
    if (parcels[i]) {
      filled.parcels.emplace_back(i, std::move(parcels[i]));
    } else {
      filled.unused.push_back(slots[i]);
    }
  }
}

void Dealer::filled(Filled filled) {
  --reading_;
  for (const std::size_t slot : filled.unused) pool_.release(slot);
  counts_.bytes_read += filled.bytes;
  if (filled.failure) {
    if (!failure_) failure_ = filled.failure;
    give_up();
  }
  if (aligned_) {
    for (const auto& [worker, parcel] : filled.parcels) sum_ += parcel->chunks.front().digest;
  }
  if (filled.end && settings_.open_ended && !all_read_) size_known(counts_.bytes_read);
  for (auto& [worker, parcel] : filled.parcels) queue(worker, std::move(parcel));
}

void Dealer::size_known(std::int64_t size) {
  all_read_ = true;
  stripe_ = core::Stripe(size, stripe_.chunk_size(), stripe_.workers(), stripe_.parity());
  // A group that was begun for data that never came.
  for (auto it = sums_.lower_bound(stripe_.groups()); it != sums_.end(); it = sums_.erase(it)) {
    for (const std::size_t slot : it->second->slots) pool_.release(slot);
    it->second->slots.clear();
  }
}

void Dealer::finish_sums(const std::shared_ptr<Sums>& sums) {
  if (!sums_.contains(sums->group)) return;
  if (stopped_) {
    // Others may still add to them.
    if (reading_ > 0) return;
    for (auto& [group, one] : sums_) {
      for (const std::size_t slot : one->slots) pool_.release(slot);
    }
    sums_.clear();
    return;
  }
  // The last group's width is known once the size is.
  const bool sized = !settings_.open_ended || all_read_;
  const int width = sized ? stripe_.data_in(sums->group) : stripe_.data();
  if (sums->added < width) return;
  sums_.erase(sums->group);
  ++reading_;
  auto result = std::make_shared<Filled>();
  const std::int64_t row = stripe_.first_row(sums->group) + width;
  std::vector<core::Cell> cells;
  std::vector<std::size_t> workers;
  for (int i = 0; i < stripe_.parity(); ++i) {
    cells.push_back(stripe_.cell(row + i));
    workers.push_back(place_in_order(stripe_.worker_of(cells.back())));
  }
  io_.post(
      [this, sums, row, cells, workers, result] {
        for (std::size_t i = 0; i < cells.size(); ++i) {
          auto parcel = std::make_shared<Parcel>();
          parcel->slot = sums->slots[i];
          parcel->payload = static_cast<std::size_t>(cells[i].length);
          Chunk chunk;
          chunk.row = row + static_cast<std::int64_t>(i);
          chunk.cell = cells[i];
          chunk.digest = timed_digest(io_.meter(), std::span<const std::byte>(sums->bytes[i], parcel->payload),
                                      cells[i].offset);
          parcel->chunks.push_back(chunk);
          result->parcels.emplace_back(workers[i], std::move(parcel));
        }
      },
      [this, result] {
        --reading_;
        for (auto& [worker, parcel] : result->parcels) queue(worker, std::move(parcel));
      });
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
    chunk.position = peer.positions++;
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
    core::encode_row(row, next_row_, settings_.key,
                     std::span<std::byte, core::kRowBytes>(page_.data() + page_.size() - core::kRowBytes,
                                                           core::kRowBytes));
    ++next_row_;
    if (next_row_ - page_first_ == core::kRowsAPage) send_page();
  }
}

void Dealer::send_page() {
  auto message = std::make_shared<std::vector<std::byte>>(core::kTableHeadBytes + page_.size());
  core::encode_table_head(page_first_, std::span<std::byte, core::kTableHeadBytes>(message->data(),
                                                                                   core::kTableHeadBytes));
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
    counts_.table_digest =
        base::close_digest(table_sum_, stripe_.rows() * static_cast<std::int64_t>(core::kRowBytes));
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
