#include "engine/holder.h"

#include <algorithm>
#include <cerrno>

#include "base/activity.h"

namespace argosy::engine {

Holder::Holder(core::Transport& transport, Workers& io, Pool& pool, core::ShareSink* sink, core::ShareSink* table,
               Settings settings)
    : transport_(transport),
      io_(io),
      pool_(pool),
      sink_(sink),
      table_sink_(table),
      settings_(settings),
      local_(!transport.memory_of(settings.root).empty()) {
  if (sink_ == nullptr) failed_ = EIO;
  if (settings_.leads) receive_table();
}

Holder::~Holder() {
  for (const auto& buffer : posted_) {
    transport_.cancel(buffer->ticket);
    if (buffer->slot) pool_.release(*buffer->slot);
  }
  if (table_ticket_) transport_.cancel(*table_ticket_);
}

bool Holder::step() {
  const bool posted = post_receives();
  return send_receipts() || posted;
}

bool Holder::done() const {
  if (!rows_ || tasks_ > 0 || !receipts_.empty() || receipt_under_way_) return false;
  return !settings_.leads || table_rows_ >= *rows_;
}

bool Holder::post_receives() {
  bool any = false;
  while (!rows_ && posted_.size() < (local_ ? settings_.ahead_local : pool_.slots())) {
    auto buffer = std::make_shared<Buffer>();
    std::span<std::byte> into;
    if (local_) {
      buffer->own.resize(core::deal_head_bytes(settings_.bundle));
      into = buffer->own;
    } else {
      buffer->slot = pool_.acquire();
      if (!buffer->slot) return any;
      into = pool_.bytes(*buffer->slot);
    }
    buffer->message = messages_++;
    buffer->ticket =
        transport_.receive(settings_.root, core::Tag::kStripe, into, [this, buffer, into](int, std::size_t bytes) {
          std::erase(posted_, buffer);
          arrived(buffer->message, into.first(bytes), buffer->slot);
        });
    posted_.push_back(std::move(buffer));
    any = true;
  }
  return any;
}

void Holder::arrived(std::uint64_t number, std::span<const std::byte> message, std::optional<std::size_t> slot) {
  base::note_activity();
  auto work = std::make_shared<Stored>();
  const auto deal = core::decode_deal(message, settings_.bundle, work->payload);
  bool right = deal.has_value();
  if (deal && !deal->end && deal->memory != core::kInline) {
    const auto lent = transport_.memory_of(settings_.root);
    right = deal->memory <= lent.size() && deal->payload <= lent.size() - deal->memory;
    if (right) work->payload = lent.subspan(deal->memory, deal->payload);
  }
  if (!right) {
    receipts_.push_back({number, core::kWholeMessage, EBADMSG});
    if (slot) pool_.release(*slot);
    return;
  }
  if (deal->end) {
    rows_ = deal->rows;
    if (slot) pool_.release(*slot);
    return;
  }
  work->chunks = deal->chunks;
  for (const core::Dealt& one : work->chunks) work->receipts.push_back({number, one.row, 0});
  ++tasks_;
  io_.post([this, work] { store(*work); }, [this, work, slot] { stored(*work, slot); });
}

void Holder::store(Stored& work) noexcept {
  for (std::size_t i = 0; i < work.chunks.size(); ++i) {
    const core::Dealt& chunk = work.chunks[i];
    const auto data = work.payload.subspan(chunk.at, chunk.length);
    std::int32_t& error_number = work.receipts[i].error_number;
    error_number = failed_;
    if (error_number != 0) continue;
    if (timed_digest(io_.meter(), data, chunk.offset) != chunk.digest) {
      error_number = EBADMSG;
      continue;
    }
    try {
      const Timed timed(io_.meter(), Work::kDisk);
      sink_->write(chunk.place, data);
      ++work.stored;
      work.bytes += chunk.length;
    } catch (const base::Error& error) {
      error_number = error.failure().error_number != 0 ? error.failure().error_number : EIO;
      std::int32_t none = 0;
      failed_.compare_exchange_strong(none, error_number);
      if (!work.failure) work.failure = error.failure();
    }
  }
  base::note_activity();
}

void Holder::stored(const Stored& work, std::optional<std::size_t> slot) {
  --tasks_;
  if (slot) pool_.release(*slot);
  chunks_ += work.stored;
  bytes_ += work.bytes;
  if (work.failure && !failure_) failure_ = work.failure;
  receipts_.insert(receipts_.end(), work.receipts.begin(), work.receipts.end());
}

bool Holder::send_receipts() {
  if (receipts_.empty() || receipt_under_way_) return false;
  const std::size_t count = std::min(receipts_.size(), core::kReceiptsAMessage);
  const std::vector<core::StripeReceipt> now(receipts_.begin(), receipts_.begin() + static_cast<std::ptrdiff_t>(count));
  receipts_.erase(receipts_.begin(), receipts_.begin() + static_cast<std::ptrdiff_t>(count));
  receipt_bytes_ = core::encode_receipts(now);
  receipt_under_way_ = true;
  transport_.send(settings_.root, core::Tag::kStripeReceipt, receipt_bytes_, [this] { receipt_under_way_ = false; });
  return true;
}

void Holder::receive_table() {
  table_.resize(core::kTableMessageBytes);
  table_ticket_ = transport_.receive(settings_.root, core::Tag::kTable, table_, [this](int, std::size_t bytes) {
    table_ticket_.reset();
    table_arrived(std::span(table_).first(bytes));
  });
}

void Holder::table_arrived(std::span<const std::byte> message) {
  const auto first = core::decode_table_head(message);
  const auto rows = message.subspan(std::min(message.size(), core::kTableHeadBytes));
  if (!first || *first != table_rows_) {
    if (!table_failure_) table_failure_ = {base::Kind::kIntegrity, {}, -1, {}, 0, "a page of digests came damaged"};
  }
  auto failure = std::make_shared<std::optional<base::Failure>>();
  ++tasks_;
  io_.post(
      [this, rows, at = table_rows_, failure] {
        try {
          if (table_sink_ != nullptr) table_sink_->write_table(at, rows);
        } catch (const base::Error& error) {
          *failure = error.failure();
        }
        base::note_activity();
      },
      [this, count = rows.size() / core::kRowBytes, failure] {
        --tasks_;
        if (*failure && !table_failure_) table_failure_ = *failure;
        table_rows_ += static_cast<std::int64_t>(count);
        receive_table();
      });
}

}  // namespace argosy::engine
