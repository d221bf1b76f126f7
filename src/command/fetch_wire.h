// What rank 0 and the others say to each other while they fetch: orders go down, words come up (layout:
// doc/wire_format.md). Both are frames on a stream of bytes a pair of ranks (command/frame_line.h). They come from
// another rank and are hostile until decoded.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "base/digest.h"
#include "base/error.h"
#include "core/manifest.h"
#include "http/answer.h"
#include "http/checksum.h"
#include "http/connection.h"
#include "http/list.h"

namespace argosy::command {

// An object's number in the list, and which try it is, make an entry: data of a try that was given up is never taken
// for that of the next.
inline constexpr std::uint64_t kTries = 32;
inline std::uint64_t entry_of(std::uint64_t index, std::uint64_t attempt) { return index * kTries + attempt; }
inline std::uint64_t index_of(std::uint64_t entry) { return entry / kTries; }

// --- orders, from rank 0 ---------------------------------------------------------------------------------------------

// Everything that a rank needs to know before the first request.
struct Setup {
  http::Settings http;
  bool all_fields = false;  // an outcome carries the answer's whole head
  std::int64_t rate = 0;    // bytes a second of the whole job, 0: no limit
};

// The names of objects one after another: what is there under them?
inline constexpr std::size_t kNamesALook = 256;
struct Sought {
  std::string name;
  std::vector<http::Checksum> checksums;  // that it must have to count as in place
  http::Pieces pieces;
};
struct Look {
  std::uint64_t id = 0;
  std::uint64_t first = 0;  // index of the first object
  bool proposed = false;    // by the origin, when the object has another name already
  std::vector<Sought> sought;
};

// One request. `length` 0: everything, without Range.
struct Item {
  std::uint64_t entry = 0;
  std::string url;       // as given, with what credentials stand in it
  std::string location;  // where that has redirected to, on another host; empty: it has not
  std::int32_t redirects = 0;
  std::int64_t first = 0;
  std::int64_t length = 0;
  std::string if_none_match;  // what is in place
  std::int64_t size_in_place = -1;
  http::Pin pin;         // of the first answer, or of what an interrupted run has begun; else empty before it
  std::string if_range;  // what is gone on with, as If-Range takes it
};

// Requests for one connection, one after another.
struct Task {
  std::uint64_t id = 0;
  std::int32_t seat = 0;  // which of the rank's connections
  std::string host;
  bool waits = false;  // of a body without a known end only the first chunk, until a grant comes
  std::vector<Item> items;
};

// The task ends as soon as it can; what it has is kept.
struct Cut {
  std::uint64_t task = 0;
};

// No request to this host begins for so long.
struct Pause {
  std::string host;
  double seconds = 0;
};

// The rank's part of the rate from now on, in bytes a second.
struct Speed {
  std::int64_t rate = 0;
};

// The entry is the one whose body is being written out: it may send all it has.
struct Grant {
  std::uint64_t entry = 0;
};

// All of an entry's data are on their way: what it must be, and what it is to be called.
struct End {
  std::uint64_t entry = 0;
  std::string name;
  std::int64_t size = 0;
  base::Digest digest;
  std::string etag;
  std::string source;                    // http::fingerprint of its address
  std::optional<std::int64_t> modified;  // seconds since 1970
  std::vector<http::Checksum> checksums;
  http::Pieces pieces;
};

struct Discard {
  std::uint64_t entry = 0;
  bool stays = false;  // what there is of it is for the next run
};

// It is known what an entry is: from now on what is written of it is noted.
struct Pinned {
  std::uint64_t entry = 0;
  std::int64_t size = 0;
  std::string key;       // the same for the same bytes
  bool goes_on = false;  // what an interrupted run has of the same is to be told
  std::string in_place;  // the ETag by which this member has told that all of it is in place; empty: it has not
};

// What all members have of an entry does not come.
struct Keep {
  std::uint64_t entry = 0;
  std::vector<core::Part> parts;
};

// There will be no more orders. `counts` says for each member how many messages of data have come to it from ranks that
// are none and itself.
struct Finished {
  std::vector<std::uint64_t> counts;
};

using Order = std::variant<Setup, Look, Task, Cut, Pause, Speed, Grant, End, Discard, Finished, Pinned, Keep>;

// --- words, to rank 0 ------------------------------------------------------------------------------------------------

// What stands under an object's name.
struct Existing {
  std::uint64_t index = 0;
  std::int64_t size = 0;
  std::string etag;    // empty: it is not as it was when it was fetched, or not as it is wanted
  std::string source;  // where it came from; empty: it was not fetched
  friend bool operator==(const Existing&, const Existing&) = default;
};

// An object that an interrupted run has begun: what it was, and the first part of it that is missing.
struct Unfinished {
  std::uint64_t index = 0;
  std::int64_t size = 0;
  std::string key;  // as Pinned has it
  core::Range gap;  // empty, at the end, where nothing is
};

// Of the names of a look those under which there is something, or something has been begun.
struct Looked {
  std::uint64_t id = 0;
  std::vector<Existing> existing;
  std::vector<Unfinished> unfinished = {};
};

// The answer to a Pinned that goes on.
struct Held {
  std::uint64_t entry = 0;
  bool lacks_nothing = false;  // all of it is in place, or it can't be written here
  std::vector<core::Part> parts;
};

// How one request ended.
struct Outcome {
  enum class Kind : std::uint8_t {
    kDone,         // all that was asked for, or the shorter range that the origin chose to give
    kNotModified,  // 304
    kBroken,       // the network, or the origin, broke off
    kCut,          // we did
    kStatus,       // refused with an error status
    kNoRange,      // the origin can't do ranges, or not right
    kElsewhere,    // another host has it
    kChanged,      // it is another object now
    kRefused,      // an answer that no other try will better
  };
  Kind kind = Kind::kDone;
  std::uint64_t task = 0;
  std::uint64_t entry = 0;
  std::int64_t first = 0;
  std::int64_t got = 0;  // bytes that were passed on
  base::Digest digest;   // the sum over their leaves
  bool whole = false;    // the answer was the whole object, and not a range
  std::int32_t status = 0;
  http::Pin pin;                          // of an answer that was accepted
  std::string name;                       // that the origin proposes
  std::vector<http::Checksum> checksums;  // of the whole, that the origin tells
  std::optional<std::int64_t> modified;
  std::optional<double> wait;  // seconds that the origin asks for
  std::string message;         // for people
  std::string location;        // kElsewhere: where
  std::int32_t redirects = 0;  // that were followed to get here
  double seconds = 0;
  std::vector<http::Hop> hops;
  std::vector<std::pair<std::string, std::string>> fields;
};

// A body without a known end has begun to come, and waits behind its first chunk: what its head tells of the whole.
struct Begun {
  std::uint64_t entry = 0;
  std::vector<http::Checksum> checksums;
};

// The connection is free. `messages` is how many messages of data the task has made.
struct TaskEnd {
  std::uint64_t task = 0;
  std::uint64_t messages = 0;
};

// How far the request under way is.
struct Standing {
  std::uint64_t task = 0;
  std::uint64_t entry = 0;
  std::int64_t first = 0;
  std::int64_t bytes = 0;
  std::int64_t size = -1;  // of the whole object, where its head has told
};

// A destination's answer for an entry: written, verified and in its place, or what was wrong. `kind` is kNone when all
// is well; a checksum that differs is told as kIntegrity with its message, everything else in that rank's own report.
struct Receipt {
  std::uint64_t entry = 0;
  base::Kind kind = base::Kind::kNone;
  std::string message;
};

using Word = std::variant<Looked, Outcome, Begun, TaskEnd, Standing, Receipt, Held>;

std::vector<std::byte> encode(const Order& order);
std::vector<std::byte> encode(const Word& word);
// Nothing where the bytes are damaged.
std::optional<Order> decode_order(std::span<const std::byte> bytes);
std::optional<Word> decode_word(std::span<const std::byte> bytes);

}  // namespace argosy::command
