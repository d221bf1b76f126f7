// Where data comes from, and where it goes: what a kind of file or server must offer for the engine to move it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/digest.h"
#include "base/error.h"
#include "core/manifest.h"

namespace argosy::core {

// The next entries of a manifest. One that can't be read is still an entry (its size or error_number says so, for the
// destinations), and has its failure beside it.
struct Listing {
  std::vector<Entry> entries;
  std::vector<base::Failure> failures;
};

// Called on I/O threads only. Errors are thrown as base::Error; the engine turns them into failures of that one entry.
class Source {
 public:
  virtual ~Source() = default;
  // Not more entries than fit a page; none at the end. One call at a time. Blocks.
  virtual Listing next_entries() = 0;
  // Where several ranks read the same source: the next page as the rank that walks it has listed it, instead of
  // next_entries(). In order, on the main thread; does no I/O.
  virtual void adopt(const Page& page) = 0;
  // Reads all of `into` at `offset`; fewer bytes only at the end of an open-ended entry. Blocks. Several extents at
  // once, of an open-ended entry one after another.
  virtual std::size_t read(std::uint64_t entry, std::int64_t offset, std::span<std::byte> into) = 0;
  // Called once for each readable entry, when no more of it will be read (it may never have been). Throws when it
  // changed since next_entries told of it.
  virtual void close(std::uint64_t entry) = 0;
};

// Called on I/O threads only; errors are thrown as base::Error and fail that one entry.
class Sink {
 public:
  virtual ~Sink() = default;
  // Which entries are to be moved (the others are in place, or no data will come for them). In the order of the pages,
  // one call at a time. Each wanted entry is later committed or discarded, once.
  virtual std::vector<bool> examine(const Page& page) = 0;
  // Writes `data` at `offset` of a file that nobody can see yet. Several extents at once.
  virtual void write(std::uint64_t entry, std::int64_t offset, std::span<const std::byte> data) = 0;
  // Everything has been written and its digest is right: makes the whole file visible under its name. `digest` is what
  // a second reading must give.
  virtual void commit(std::uint64_t entry, std::int64_t length, const base::Digest& digest) = 0;
  // Takes away what there is of a file that will not be whole.
  virtual void discard(std::uint64_t entry) noexcept = 0;
};

}  // namespace argosy::core
