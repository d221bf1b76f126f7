// A folder as one run of bytes: what `scatter` stripes of it, made while the folder is walked, and what `gather` makes
// the folder from. Pages of the manifest, each followed by the data of its files (doc/stripe_format.md, Folders).
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/digest.h"
#include "base/failures.h"
#include "core/endpoint.h"
#include "core/manifest.h"
#include "core/tree_signature.h"

namespace argosy::file {

inline constexpr std::uint32_t kPackMagic = 0x54475241;  // the bytes ARGT
inline constexpr std::uint32_t kPackVersion = 1;

// What follows of a file: as many bytes of data, a hole of that length, its end (the length is the whole file's), or
// that it could not be read to its end.
enum class PackPart : std::uint8_t { kData = 0, kHole = 1, kEnd = 2, kFailed = 3 };
inline constexpr std::size_t kPackPartBytes = 9;                // its kind and its length
inline constexpr std::int64_t kPackPartMost = base::kLeafSize;  // bytes of data in a part

// How a folder's bytes stand in a list of files: with its name and metadata, without a size. Blocks. Throws base::Error
// (kSource).
core::Entry folder_stream(const std::string& path, const std::string& name);

class TreePack final : public core::Source {
 public:
  // `source` lists one folder, from its beginning, and outlives this. With `digests` it is told that of each file.
  explicit TreePack(core::Source& source, bool digests = false);

  // The next bytes: `offset` is where the call before ended. Fewer than asked for at the end only. One call at a time.
  // What can't be read of the folder is left out, and has a failure; what throws ends it.
  std::size_t read(std::uint64_t entry, std::int64_t offset, std::span<std::byte> into) override;
  void close(std::uint64_t /*entry*/) override {}
  core::Listing next_entries() override { return {}; }
  void adopt(const core::Page& /*page*/) override {}

  // Between calls.
  base::Failures take_failures() { return std::exchange(failures_, base::Failures()); }
  // Of the folder that the bytes are, once all of them have been read; nothing where something of it was left out.
  std::optional<core::TreeSignature> signature() const;

 private:
  bool next();
  void put_page();
  void put_part();
  void put_head(PackPart part, std::int64_t length);
  void end_file(bool whole);

  core::Source& source_;
  bool digests_;
  std::vector<std::byte> ready_;  // made, and from `taken_` on not yet read
  std::size_t taken_ = 0;
  bool ended_ = false;
  std::uint64_t page_ = 0;
  std::uint64_t listed_ = 0;
  struct File {
    std::uint64_t index = 0;
    std::int64_t size = 0;
  };
  std::deque<File> files_;  // of the page, whose data is still to come; the first is being read
  std::int64_t at_ = 0;     // in it
  base::Digest sum_;        // of what was read of it
  base::Failures failures_;
  core::TreeSigner signer_;
  bool whole_ = true;  // nothing has been left out
};

}  // namespace argosy::file
