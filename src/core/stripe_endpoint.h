// Where the chunks of a stripe go, and where they come from: what a kind of storage must offer for the engine to deal
// and collect them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "core/stripe.h"

namespace argosy::core {

// Where a chunk lies in the share of its holder.
struct Place {
  std::uint32_t holder = 0;
  std::uint64_t position = 0;  // in the share, in chunks
  bool parity = false;
  std::int64_t group = 0;
  std::int64_t number = 0;  // as in Cell
};

inline Place place_of(const Cell& cell, const Row& row) {
  return {row.holder, row.position, cell.parity, cell.group, cell.number};
}

// A worker's share while it is written. Called on I/O threads only, several at once; throws base::Error.
class ShareSink {
 public:
  virtual ~ShareSink() = default;
  virtual void write(const Place& place, std::span<const std::byte> data) = 0;
  virtual void write_table(std::int64_t first_row, std::span<const std::byte> rows) = 0;
};

// The folders of a stripe that a rank sees, by number. Called on I/O threads only, several at once; throws base::Error.
class Shelf {
 public:
  virtual ~Shelf() = default;
  // Reads all of `into` from the chunk at `place`, in chunks of `chunk_size`.
  virtual void read(std::uint32_t folder, const Place& place, std::int64_t chunk_size, std::span<std::byte> into) = 0;
  virtual void read_table(std::uint32_t folder, std::int64_t first_row, std::span<std::byte> into) = 0;
};

// What is made of collected chunks. Called on I/O threads only, several at once; throws base::Error.
class CellSink {
 public:
  virtual ~CellSink() = default;
  // A chunk whose digest is right.
  virtual void put(const Cell& cell, const Row& row, std::span<const std::byte> data) = 0;
  // A page of the table.
  virtual void put_table(std::int64_t first_row, std::span<const std::byte> rows) = 0;
};

}  // namespace argosy::core
