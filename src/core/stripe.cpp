#include "core/stripe.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <numeric>
#include <utility>

namespace argosy::core {

Stripe::Stripe(std::int64_t size, std::int64_t chunk_size, std::vector<std::uint32_t> workers, int parity)
    : size_(size),
      chunk_size_(chunk_size),
      workers_(std::move(workers)),
      parity_(parity),
      data_(static_cast<int>(parity == 0
                                 ? static_cast<std::int64_t>(workers_.size())
                                 : std::min(static_cast<std::int64_t>(workers_.size()) - parity, kWidestGroup))),
      chunks_(size / chunk_size + (size % chunk_size != 0 ? 1 : 0)),
      groups_((chunks_ + data_ - 1) / data_) {}

int Stripe::data_in(std::int64_t group) const {
  return static_cast<int>(std::min<std::int64_t>(data_, chunks_ - group * data_));
}

Cell Stripe::cell(std::int64_t row) const {
  Cell cell;
  cell.group = row / width();
  const auto in_group = static_cast<int>(row % width());
  const int data = data_in(cell.group);
  cell.parity = in_group >= data;
  if (cell.parity) {
    cell.number = in_group - data;
    cell.index = data_ + static_cast<int>(cell.number);
    cell.offset = cell.group * data_ * chunk_size_;
  } else {
    cell.number = cell.group * data_ + in_group;
    cell.index = in_group;
    cell.offset = cell.number * chunk_size_;
  }
  cell.length = std::min(chunk_size_, size_ - cell.offset);
  return cell;
}

std::uint32_t Stripe::worker_of(const Cell& cell) const {
  const auto count = static_cast<std::int64_t>(workers_.size());
  const std::int64_t nth = cell.group * data_ + cell.index;
  return workers_[static_cast<std::size_t>(nth % count)];
}

// How many chunks of the first `groups` groups, which are full, the worker has that is the nth.
std::int64_t Stripe::dealt(std::int64_t nth, std::int64_t groups) const {
  // A worker has at most one chunk of a group, and of which groups it has one repeats itself.
  const auto count = static_cast<std::int64_t>(workers_.size());
  const std::int64_t period = count / std::gcd(count, static_cast<std::int64_t>(data_));
  const auto in = [&](std::int64_t first) {
    std::int64_t sum = 0;
    for (std::int64_t group = 0; group < first; ++group) {
      const std::int64_t index = ((nth - group * data_) % count + count) % count;
      sum += index < width() ? 1 : 0;
    }
    return sum;
  };
  return groups / period * in(period) + in(groups % period);
}

std::uint64_t Stripe::position_of(const Cell& cell) const {
  const std::int64_t nth = (cell.group * data_ + cell.index) % static_cast<std::int64_t>(workers_.size());
  return static_cast<std::uint64_t>(dealt(nth, cell.group));
}

std::int64_t Stripe::bytes_of(std::uint32_t worker) const {
  const auto found = std::find(workers_.begin(), workers_.end(), worker);
  if (found == workers_.end() || groups_ == 0) return 0;
  // The chunks of each group but the last are whole.
  std::int64_t bytes = dealt(found - workers_.begin(), groups_ - 1) * chunk_size_;
  for (std::int64_t row = first_row(groups_ - 1); row < rows(); ++row) {
    const Cell one = cell(row);
    if (worker_of(one) == worker) bytes += one.length;
  }
  return bytes;
}

namespace {

std::uint32_t row_check(std::span<const std::byte> fields, std::int64_t number, std::uint64_t key) {
  std::array<std::byte, kRowBytes + 12> bytes{};
  std::copy(fields.begin(), fields.end(), bytes.begin());
  std::memcpy(bytes.data() + fields.size(), &number, sizeof number);
  std::memcpy(bytes.data() + fields.size() + sizeof number, &key, sizeof key);
  return static_cast<std::uint32_t>(base::checksum_of(bytes));
}

}  // namespace

void encode_row(const Row& row, std::int64_t number, std::uint64_t key, std::span<std::byte, kRowBytes> into) {
  std::memcpy(into.data(), &row.digest.low, 8);
  std::memcpy(into.data() + 8, &row.digest.high, 8);
  std::memcpy(into.data() + 16, &row.position, 8);
  std::memcpy(into.data() + 24, &row.holder, 4);
  const std::uint32_t check = row_check(into.first(28), number, key);
  std::memcpy(into.data() + 28, &check, 4);
}

std::optional<Row> decode_row(std::span<const std::byte, kRowBytes> bytes, std::int64_t number, std::uint64_t key) {
  Row row;
  std::uint32_t check = 0;
  std::memcpy(&row.digest.low, bytes.data(), 8);
  std::memcpy(&row.digest.high, bytes.data() + 8, 8);
  std::memcpy(&row.position, bytes.data() + 16, 8);
  std::memcpy(&row.holder, bytes.data() + 24, 4);
  std::memcpy(&check, bytes.data() + 28, 4);
  if (check != row_check(bytes.first(28), number, key)) return std::nullopt;
  return row;
}

int losses_stood(std::span<const std::uint32_t> holders, int needed) {
  auto spare = static_cast<int>(holders.size()) - needed;
  if (spare < 0) return -1;
  std::map<std::uint32_t, int> counts;
  for (const std::uint32_t holder : holders) ++counts[holder];
  std::vector<int> sorted;
  sorted.reserve(counts.size());
  for (const auto& [holder, count] : counts) sorted.push_back(count);
  std::sort(sorted.rbegin(), sorted.rend());
  int losses = 0;
  for (const int count : sorted) {
    spare -= count;
    if (spare < 0) break;
    ++losses;
  }
  return losses;
}

std::string share_name(std::uint32_t worker) { return fmt::format("share_{:04}", worker); }

std::string chunk_name(const Cell& cell) {
  return cell.parity ? fmt::format("parity_{:010}_{}", cell.group, cell.number)
                     : fmt::format("chunk_{:010}", cell.number);
}

}  // namespace argosy::core
