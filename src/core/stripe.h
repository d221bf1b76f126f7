// How a file is striped: which chunk is dealt to which worker, which chunks share parity, and what lies where. Pure
// arithmetic, that scatter, gather and the tests all go by (doc/stripe_format.md).
//
// The chunks of a file come in groups: `data` chunks in a row, and `parity` chunks made of them. Data chunk i is dealt
// to worker i modulo the number of workers; a group's parity chunks go to the workers that follow those of a full
// group's data. So no worker is dealt two chunks of a group, and any `parity` workers may be lost.
//
// A row is a chunk's number in the order of dealing: of each group first the data, then the parity. It is also where
// the chunk's digest stands in the table.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/digest.h"

namespace argosy::core {

// Wider groups than this would save little space and make a rebuilt chunk dear.
inline constexpr std::int64_t kWidestGroup = 64;
inline constexpr int kMostParity = 64;
inline constexpr std::size_t kMostStripeWorkers = 65535;

// What a row is.
struct Cell {
  std::int64_t group = 0;
  int index = 0;  // in the group: data chunks from 0, parity chunk j at Stripe::data() + j
  bool parity = false;
  std::int64_t number = 0;  // of a data chunk: its number in the file; of a parity chunk: its number in the group
  std::int64_t offset = 0;  // in the file, of a data chunk or of the group's first
  std::int64_t length = 0;  // bytes
};

class Stripe {
 public:
  // `size` of the file, `chunk_size` (1 or more) in bytes; `workers` are the ranks in dealing order, `parity` is less
  // than their number. Without parity a group is a round of the workers.
  Stripe(std::int64_t size, std::int64_t chunk_size, std::vector<std::uint32_t> workers, int parity);

  std::int64_t size() const { return size_; }
  std::int64_t chunk_size() const { return chunk_size_; }
  const std::vector<std::uint32_t>& workers() const { return workers_; }
  int parity() const { return parity_; }
  // Data chunks in a full group.
  int data() const { return data_; }
  // Of a full group, parity included.
  int width() const { return data_ + parity_; }

  std::int64_t chunks() const { return chunks_; }
  std::int64_t groups() const { return groups_; }
  std::int64_t rows() const { return chunks_ + groups_ * parity_; }
  // The data chunks of a group; fewer than data() in the last.
  int data_in(std::int64_t group) const;
  std::int64_t first_row(std::int64_t group) const { return group * width(); }
  int rows_in(std::int64_t group) const { return data_in(group) + parity_; }
  std::int64_t group_of_chunk(std::int64_t chunk) const { return chunk / data_; }
  std::int64_t row_of_chunk(std::int64_t chunk) const { return first_row(chunk / data_) + chunk % data_; }
  Cell cell(std::int64_t row) const;
  // The worker that the rule deals a row to.
  std::uint32_t worker_of(const Cell& cell) const;
  // Where it is in that worker's share, in chunks, as long as nothing has been dealt otherwise.
  std::uint64_t position_of(const Cell& cell) const;
  // The bytes that the rule deals to `worker`.
  std::int64_t bytes_of(std::uint32_t worker) const;

 private:
  std::int64_t dealt(std::int64_t nth, std::int64_t groups) const;

  std::int64_t size_;
  std::int64_t chunk_size_;
  std::vector<std::uint32_t> workers_;
  int parity_;
  int data_;
  std::int64_t chunks_;
  std::int64_t groups_;
};

// What the table says of a row: the chunk's digest (base::digest_of at the offset of its cell), and where it is.
struct Row {
  base::Digest digest;
  std::uint64_t position = 0;  // in its holder's share, in chunks
  std::uint32_t holder = 0;    // the worker whose share has it
  friend bool operator==(const Row&, const Row&) = default;
};

inline constexpr std::size_t kRowBytes = 32;
// A page of the table is a leaf of the digest.
inline constexpr std::int64_t kRowsAPage = base::kLeafSize / static_cast<std::int64_t>(kRowBytes);

// `key` is the stripe's generation: a row of another stripe's table is no row of this one's.
void encode_row(const Row& row, std::int64_t number, std::uint64_t key, std::span<std::byte, kRowBytes> into);
// Nothing where it is damaged or belongs elsewhere.
std::optional<Row> decode_row(std::span<const std::byte, kRowBytes> bytes, std::int64_t number, std::uint64_t key);

// How many holders may be lost, whichever they are, so that a group can still be had: `holders` of each of its chunks
// that is there, `needed` of which suffice. -1 when there are too few already.
int losses_stood(std::span<const std::uint32_t> holders, int needed);

// "share_0003".
std::string share_name(std::uint32_t worker);
// "chunk_0000000017", "parity_0000000003_1".
std::string chunk_name(const Cell& cell);
inline constexpr const char* kTableName = "digests.bin";
inline constexpr const char* kManifestName = "manifest.json";
// What a folder of a stripe ends in: "NAME.argosy".
inline constexpr const char* kStripeSuffix = ".argosy";

}  // namespace argosy::core
