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

// What a sink finds out about a page, and does at once.
struct Examination {
  // Which entries are to be moved (the others are in place, made here, or no data will come for them).
  std::vector<bool> wanted;
  std::vector<Held> held;                // parts of wanted files that are there
  std::vector<std::uint32_t> failed;     // entries that can't be had here, within the page,
  std::vector<base::Failure> failures;   // and why; of what lies in a folder that can't be had nothing is said
  std::uint64_t links_and_specials = 0;  // without data: made, or in place
  std::uint64_t folders = 0;
  std::uint64_t in_place = 0;  // of both, those that were there
  bool only_asked = false;     // nothing is moved: `wanted` says what would be
};

// A part of a file that is all hole or all data.
struct Region {
  bool hole = false;
  std::int64_t length = 0;
  bool holes = false;  // data of a file with holes, some of which may be in it: leaves that have any data are all data
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
  // All of a small entry (`into` is as long) in one visit, which closes it: read() and close() in one. False, and
  // nothing done, where it has to be read with these. Blocks.
  virtual bool read_whole(std::uint64_t /*entry*/, std::span<std::byte> /*into*/) { return false; }
  // What begins at `offset` of a file, up to `length` bytes; the answer's length is a multiple of base::kLeafSize, or
  // `length`. Blocks. Several at once.
  virtual Region region(std::uint64_t /*entry*/, std::int64_t /*offset*/, std::int64_t length) {
    return {false, length};
  }
  // Called once for each readable entry, when no more of it will be read (it may never have been). Throws when it
  // changed since next_entries told of it.
  virtual void close(std::uint64_t entry) = 0;
  // Instead of close(), for an entry that nobody wants.
  virtual void skip(std::uint64_t entry) { close(entry); }
  // At the root, on the main thread, in any order: the whole digest of an entry that was moved. Does no I/O.
  virtual void ended(std::uint64_t /*entry*/, const base::Digest& /*digest*/) {}
};

// Called on I/O threads only; errors are thrown as base::Error and fail that one entry.
class Sink {
 public:
  virtual ~Sink() = default;
  // Which entries are to be moved (the others are in place, or no data will come for them). In the order of the pages,
  // one call at a time. Each wanted entry is later committed or discarded, once.
  virtual std::vector<bool> examine(const Page& page) = 0;
  // The same for a manifest that also has folders, links and special files, which are made here and now.
  virtual Examination inspect(const Page& page) {
    Examination examination;
    examination.wanted = examine(page);
    return examination;
  }
  // Writes `data` at `offset` of a file that nobody can see yet. Several extents at once.
  virtual void write(std::uint64_t entry, std::int64_t offset, std::span<const std::byte> data) = 0;
  // `length` bytes at `offset` are a hole.
  virtual void hole(std::uint64_t /*entry*/, std::int64_t /*offset*/, std::int64_t /*length*/) {}
  // What has been written of a file since it was examined has this digest there (of its leaves, not closed).
  virtual void written(std::uint64_t /*entry*/, Range /*range*/, const base::Digest& /*digest*/) {}
  // The digest of a part of what inspect() said is held. Several at once.
  virtual base::Digest held(std::uint64_t /*entry*/, Range /*range*/) { return {}; }
  // Everything has been written and its digest is right: makes the whole file visible under its name. `digest` is what
  // a second reading must give.
  virtual void commit(std::uint64_t entry, std::int64_t length, const base::Digest& digest) = 0;
  // A file that came in one go, and whose digest is right: write() and commit() in one.
  virtual void put(std::uint64_t entry, std::span<const std::byte> data, const base::Digest& digest) {
    write(entry, 0, data);
    commit(entry, static_cast<std::int64_t>(data.size()), digest);
  }
  // Takes away what there is of a file that will not be whole.
  virtual void discard(std::uint64_t entry) noexcept = 0;
  // The job was asked to stop before the file was whole: what there is of it may stay for the next one.
  virtual void leave(std::uint64_t entry) noexcept { discard(entry); }
};

}  // namespace argosy::core
