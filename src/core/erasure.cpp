#include "core/erasure.h"

#include <isa-l/erasure_code.h>

#include <algorithm>
#include <climits>
#include <utility>

namespace argosy::core {

namespace {

constexpr std::size_t kTableBytes = 32;  // a factor
// A part of the data whose sums stay in the processor's cache while it is added.
constexpr std::size_t kStride = 64 * 1024;

std::vector<unsigned char> generator(int data, int parity) {
  std::vector<unsigned char> matrix(static_cast<std::size_t>(data + parity) * static_cast<std::size_t>(data));
  gf_gen_cauchy1_matrix(matrix.data(), data + parity, data);
  return matrix;
}

unsigned char* octets(std::byte* bytes) { return reinterpret_cast<unsigned char*>(bytes); }

}  // namespace

Combination::Combination(int inputs, std::vector<unsigned char> factors)
    : inputs_(inputs), outputs_(static_cast<int>(factors.size()) / inputs), tables_(kTableBytes * factors.size()) {
  ec_init_tables(inputs_, outputs_, factors.data(), tables_.data());
}

void Combination::add(int input, std::span<const std::byte> data, std::span<std::byte* const> outputs) const {
  std::vector<unsigned char*> sums(outputs.size());
  // The library takes what it only reads by pointers to what could be written.
  auto* const from = octets(const_cast<std::byte*>(data.data()));
  auto* const tables = const_cast<unsigned char*>(tables_.data());
  for (std::size_t at = 0; at < data.size(); at += kStride) {
    const std::size_t length = std::min(kStride, data.size() - at);
    for (std::size_t i = 0; i < sums.size(); ++i) sums[i] = octets(outputs[i]) + at;
    ec_encode_data_update(static_cast<int>(length), inputs_, outputs_, input, tables, from + at, sums.data());
  }
}

Combination encoder(int data, int parity) {
  const std::vector<unsigned char> matrix = generator(data, parity);
  return {data, {matrix.begin() + std::ptrdiff_t{data} * data, matrix.end()}};
}

std::optional<Combination> decoder(int data, int parity, std::span<const int> survivors, std::span<const int> lost) {
  if (survivors.size() != static_cast<std::size_t>(data)) return std::nullopt;
  const auto k = static_cast<std::size_t>(data);
  const std::vector<unsigned char> matrix = generator(data, parity);
  std::vector<unsigned char> rows;
  for (const int survivor : survivors) {
    const auto* const row = matrix.data() + static_cast<std::size_t>(survivor) * k;
    rows.insert(rows.end(), row, row + k);
  }
  std::vector<unsigned char> inverse(rows.size());
  if (gf_invert_matrix(rows.data(), inverse.data(), data) != 0) return std::nullopt;
  // A lost chunk is its row of the generator times the data, and the data is the inverse times the survivors.
  std::vector<unsigned char> factors;
  for (const int one : lost) {
    const auto* const row = matrix.data() + static_cast<std::size_t>(one) * k;
    for (std::size_t column = 0; column < k; ++column) {
      unsigned char sum = 0;
      for (std::size_t i = 0; i < k; ++i) sum ^= gf_mul(row[i], inverse[i * k + column]);
      factors.push_back(sum);
    }
  }
  return Combination(data, std::move(factors));
}

}  // namespace argosy::core
