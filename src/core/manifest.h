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

namespace argosy::core {

inline constexpr std::size_t kEntriesAPage = 1024;
inline constexpr std::size_t kPageBytes = 128 * 1024;  // a page's longest encoding
inline constexpr std::size_t kLongestPath = 32 * 1024;

struct Timestamp {
  std::int64_t seconds = 0;
  std::int32_t nanoseconds = 0;
  friend bool operator==(const Timestamp&, const Timestamp&) = default;
};

// The size of a source that is missing. No other size is negative.
inline constexpr std::int64_t kMissing = -1;

// One file. `path` is relative to the destination and holds raw bytes.
struct Entry {
  std::string path;
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
  // Of the content, where it was asked for before anything moves.
  std::optional<base::Digest> digest;

  // Data will follow unless the destinations have it already.
  bool readable() const { return size != kMissing && error_number == 0; }
};

// `first` is the index of the page's first entry in the whole manifest.
struct Page {
  std::uint64_t number = 0;
  std::uint64_t first = 0;
  bool last = false;
  std::vector<Entry> entries;
};

// True when `path` names something beneath the folder it is relative to: not empty, not absolute, no NUL, no empty, "."
// or ".." component, no component over 255 bytes.
bool is_safe_path(std::string_view path);

// How many bytes `entry` takes in a page.
std::size_t encoded_size(const Entry& entry);

// The page's bytes. The caller has kept to kEntriesAPage and kPageBytes.
std::vector<std::byte> encode_page(const Page& page);

// The page, or nothing where the bytes are damaged or say what no honest peer says; `why` then says what.
std::optional<Page> decode_page(std::span<const std::byte> bytes, std::string& why);

// Which entries of a page the destinations want; the others are in place. Encoded as a bitmap behind the page's number.
struct Answer {
  std::uint64_t page = 0;
  std::vector<bool> wanted;
};
inline constexpr std::size_t kAnswerBytes = 64 + kEntriesAPage / 8;

std::vector<std::byte> encode_answer(const Answer& answer);
std::optional<Answer> decode_answer(std::span<const std::byte> bytes);

}  // namespace argosy::core
