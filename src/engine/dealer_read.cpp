// The dealer's reading: what is read when, into which slot, and the parity that is made on the way.
#include <algorithm>
#include <cstring>

#include "base/activity.h"
#include "engine/dealer.h"

namespace argosy::engine {

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
  // Reads end in any order; places in shares are given here, in the file's.
  const Chunk chunk = chunk_at(stripe_.row_of_chunk(next_chunk_++));
  if (!settings_.open_ended) all_read_ = next_chunk_ == stripe_.chunks();
  if (sums && chunk.cell.index + 1 == stripe_.data_in(group)) place_parity(*sums);
  ++reading_;
  auto result = std::make_shared<Filled>();
  io_.post([this, chunk, slot, sums, result] { read_one(chunk, slot, sums.get(), *result); },
           [this, sums, result] {
             if (sums && !result->parcels.empty()) ++sums->added;
             filled(*result);
             if (sums) finish_sums(sums);
           });
  return true;
}

// A chunk, with its place in the share of the worker that the rule deals it to.
Dealer::Chunk Dealer::chunk_at(std::int64_t row) {
  Chunk chunk;
  chunk.row = row;
  chunk.cell = stripe_.cell(row);
  place(chunk, place_in_order(stripe_.worker_of(chunk.cell)));
  return chunk;
}

void Dealer::place(Chunk& chunk, std::size_t worker) {
  if (chunk.holder == worker) return;
  chunk.holder = worker;
  chunk.position = peers_[worker].positions++;
}

void Dealer::place_parity(Sums& sums) {
  const std::int64_t row = stripe_.first_row(sums.group) + stripe_.data_in(sums.group);
  for (int i = 0; i < stripe_.parity(); ++i) sums.chunks.push_back(chunk_at(row + i));
}

std::size_t Dealer::read(std::int64_t offset, std::span<std::byte> into) {
  const Timed timed(io_.meter(), Work::kSource);
  return source_.read(entry_, offset, into);
}

void Dealer::read_one(Chunk one, std::size_t slot, Sums* sums, Filled& filled) {
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
  filled.parcels.emplace_back(one.holder, std::move(parcel));
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
           [this, result] { filled(*result); });
  return true;
}

void Dealer::read_band(std::int64_t group, std::int64_t groups, const std::vector<std::size_t>& slots, Filled& filled) {
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
    const auto put = [&](std::int64_t row) -> Chunk& {
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
        Chunk& chunk = put(row + i);
        const auto bytes = data.subspan(static_cast<std::size_t>(chunk.cell.offset - begin),
                                        static_cast<std::size_t>(chunk.cell.length));
        std::memcpy(at(chunk), bytes.data(), bytes.size());
        chunk.digest = base::digest_of(bytes, chunk.cell.offset);
        inputs.emplace_back(chunk.cell.index, bytes);
      }
      std::vector<Chunk*> parity;
      for (int i = 0; i < stripe.parity(); ++i) {
        Chunk& chunk = put(row + count + i);
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

void Dealer::filled(Filled& filled) {
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
  // The last group of a file whose end was not known may have less data than was planned for: its parity's rows are
  // others then, its workers are not.
  if (sums->chunks.empty()) place_parity(*sums);
  for (int i = 0; i < stripe_.parity(); ++i) {
    Chunk& chunk = sums->chunks[static_cast<std::size_t>(i)];
    chunk.row = stripe_.first_row(sums->group) + width + i;
    chunk.cell = stripe_.cell(chunk.row);
  }
  auto result = std::make_shared<Filled>();
  io_.post(
      [this, sums, result] {
        for (std::size_t i = 0; i < sums->chunks.size(); ++i) {
          Chunk& chunk = sums->chunks[i];
          auto parcel = std::make_shared<Parcel>();
          parcel->slot = sums->slots[i];
          parcel->payload = static_cast<std::size_t>(chunk.cell.length);
          chunk.digest =
              timed_digest(io_.meter(), std::span<const std::byte>(sums->bytes[i], parcel->payload), chunk.cell.offset);
          parcel->chunks.push_back(chunk);
          result->parcels.emplace_back(chunk.holder, std::move(parcel));
        }
      },
      [this, result] {
        --reading_;
        for (auto& [worker, parcel] : result->parcels) queue(worker, std::move(parcel));
      });
}

}  // namespace argosy::engine
