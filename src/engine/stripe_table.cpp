#include "engine/stripe_table.h"

#include <algorithm>

namespace argosy::engine {

StripeTable::StripeTable(StripeClient& client, const std::vector<Seen>& folders, std::int64_t rows, std::uint64_t key,
                         std::size_t payload)
    : client_(client),
      folders_(folders),
      rows_(rows),
      key_(key),
      rows_a_part_(std::min(core::kRowsAPage, static_cast<std::int64_t>(payload / core::kRowBytes))) {}

bool StripeTable::has(std::int64_t first, std::int64_t count) {
  const std::int64_t last = (first + count - 1) / rows_a_part_;
  bool all = true;
  for (std::int64_t number = first / rows_a_part_; number <= last; ++number) {
    want(number);
    all = all && parts_[number].whole;
  }
  if ((last + 1) * rows_a_part_ < rows_) want(last + 1);
  return all;
}

void StripeTable::want(std::int64_t number) {
  Part& part = parts_[number];
  if (part.whole || part.asked) return;
  const std::int64_t first = number * rows_a_part_;
  const std::int64_t count = std::min(rows_a_part_, rows_ - first);
  part.rows.resize(static_cast<std::size_t>(count));
  if (part.folder == folders_.size()) {
    part.whole = true;  // as whole as can be
    return;
  }
  const Seen& folder = folders_[part.folder];
  if (!client_.has_room(folder.rank, core::Ask::kTable)) return;
  ++part.folder;
  part.asked = true;
  core::Wanted wanted;
  wanted.folder = folder.folder;
  wanted.place.number = first;
  wanted.chunk_size = 1;
  wanted.length = static_cast<std::uint32_t>(count) * static_cast<std::uint32_t>(core::kRowBytes);
  client_.ask(folder.rank, core::Ask::kTable, wanted,
              [this, number](const StripeClient::Answer& answer) { arrived(number, answer); });
}

void StripeTable::arrived(std::int64_t number, const StripeClient::Answer& answer) {
  const auto found = parts_.find(number);
  if (found == parts_.end()) return;
  Part& part = found->second;
  part.asked = false;
  bool whole = true;
  for (std::size_t i = 0; i < part.rows.size(); ++i) {
    if (!part.rows[i] && answer.error_number == 0) {
      part.rows[i] = core::decode_row(answer.bytes.subspan(i * core::kRowBytes).first<core::kRowBytes>(),
                                      number * rows_a_part_ + static_cast<std::int64_t>(i), key_);
    }
    whole = whole && part.rows[i].has_value();
  }
  part.whole = whole;
}

std::optional<core::Row> StripeTable::row(std::int64_t number) const {
  return parts_.at(number / rows_a_part_).rows[static_cast<std::size_t>(number % rows_a_part_)];
}

void StripeTable::drop_before(std::int64_t row) {
  const auto end = parts_.lower_bound(row / rows_a_part_);
  for (auto it = parts_.begin(); it != end;) it = it->second.asked ? std::next(it) : parts_.erase(it);
}

}  // namespace argosy::engine
