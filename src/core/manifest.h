// The manifest: the files of a transfer, in order, in pages that travel ahead of the data. A page comes from another
// rank and is hostile until decode_page has checked it (layout: doc/wire_format.md).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/digest.h"
#include "core/ranges.h"

namespace argosy::core {

inline constexpr std::size_t kEntriesAPage = 1024;
inline constexpr std::size_t kPageBytes = 1024 * 1024;  // a page's longest encoding
inline constexpr std::size_t kLongestPath = 128 * 1024;
inline constexpr std::size_t kAttributeBytes = 256 * 1024;  // of one entry, all together

struct Timestamp {
  std::int64_t seconds = 0;
  std::int32_t nanoseconds = 0;
  friend bool operator==(const Timestamp&, const Timestamp&) = default;
};

// Of a file, in bytes: where its last chunk ends is still a number.
inline constexpr std::int64_t kLargestFile = INT64_MAX - (std::int64_t{1} << 30);

// The size of a source that is missing. No other size is negative.
inline constexpr std::int64_t kMissing = -1;

// What kind of thing an entry is. The values travel.
enum class Type : std::uint8_t {
  kFile = 0,
  kFolder = 1,
  kSymlink = 2,
  kHardLink = 3,  // a second name of a file that the manifest has named before
  kFifo = 4,
  kSocket = 5,
  kCharDevice = 6,
  kBlockDevice = 7,
};
inline constexpr std::uint8_t kTypes = 8;

// An extended attribute, a POSIX ACL among them.
struct Attribute {
  std::string name;
  std::string value;
  friend bool operator==(const Attribute&, const Attribute&) = default;
};

// One file, folder, link or special file. `path` is relative to the destination and holds raw bytes.
struct Entry {
  std::string path;
  Type type = Type::kFile;
  std::int64_t size = 0;          // bytes, or kMissing
  bool open_ended = false;        // the size becomes known at the end only (standard input); `size` is 0
  std::int32_t error_number = 0;  // not 0: the source can't be read, so no data will follow
  std::uint32_t mode = 0;         // permission bits, 07777
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  Timestamp mtime;
  // With inode and size they tell a file from every other one, on whichever node a shared file system shows it.
  Timestamp ctime;
  std::uint64_t inode = 0;
  bool sparse = false;                // it has holes
  bool several = false;               // it has other names, which may follow as hard links
  std::uint64_t device = 0;           // of a device: its number, as st_rdev
  std::string link;                   // of a symbolic link: its target; of a hard link: the path named before
  std::vector<Attribute> attributes;  // sorted by name
  std::uint64_t links = 1;            // names that it has at its source; known to who lists it, and does not travel
  // Of the content, where it was asked for before anything moves.
  std::optional<base::Digest> digest;

  bool exists() const { return size != kMissing && error_number == 0; }
  // Data will follow unless the destinations have it already.
  bool readable() const { return type == Type::kFile && exists(); }
};

// `first` is the index of the page's first entry in the whole manifest.
struct Page {
  std::uint64_t number = 0;
  std::uint64_t first = 0;
  bool last = false;
  std::vector<Entry> entries;
};

// The longest target that a symbolic link can have.
inline constexpr std::size_t kLongestTarget = 4095;

// True for a link that a manifest may carry: of a symbolic link anything without NUL that is not too long, of a hard
// link a safe path.
bool is_safe_link(Type type, std::string_view link);

// True when `path` names something beneath the folder it is relative to: not empty, not absolute, no NUL, no empty, "."
// or ".." component, no component over 255 bytes.
bool is_safe_path(std::string_view path);

// Which extended attributes belong to a file and not to the system that it is on: labels of security modules are the
// destination's own. Others are in no manifest.
bool is_moved_attribute(std::string_view name);

// How many bytes `entry` takes in a page.
std::size_t encoded_size(const Entry& entry);

// The page's bytes. The caller has kept to kEntriesAPage and kPageBytes.
std::vector<std::byte> encode_page(const Page& page);

// The page, or nothing where the bytes are damaged or say what no honest peer says; `why` then says what.
std::optional<Page> decode_page(std::span<const std::byte> bytes, std::string& why);

// A part of a file as it is somewhere, and the digest of its leaves (not closed). Bounds are multiples of
// base::kLeafSize, or the file's end.
struct Part {
  Range range;
  base::Digest digest;
  friend bool operator==(const Part&, const Part&) = default;
};

// No part that is held reaches over a multiple of this, so that those of several destinations can be told to be the
// same: a power of two, at most 512 of them a file of `size` bytes.
std::int64_t part_size(std::int64_t size);

// The parts that are the same in both; each in order.
std::vector<Part> common(const std::vector<Part>& a, const std::vector<Part>& b);

// Of a wanted entry: what an earlier run wrote of it and is still there. In order, and not overlapping.
struct Held {
  std::uint32_t entry = 0;  // within the page
  std::vector<Part> parts;
  Ranges ranges() const;
};

// Which entries of a page the destinations want; the others are in place. Encoded as a bitmap behind the page's number.
struct Answer {
  std::uint64_t page = 0;
  std::vector<bool> wanted;
  std::vector<Held> held = {};  // in the order of the entries
};
inline constexpr std::size_t kPartsAnAnswer = 2048;
inline constexpr std::size_t kAnswerBytes = 64 + kEntriesAPage / 8 + kPartsAnAnswer * (8 + 32);

// What two destinations together want of a page; held is what both hold alike.
Answer combine(const Answer& a, const Answer& b);

// Of more than kPartsAnAnswer parts those of the last entries stay behind: they are moved again.
std::vector<std::byte> encode_answer(const Answer& answer);
std::optional<Answer> decode_answer(std::span<const std::byte> bytes);

}  // namespace argosy::core
