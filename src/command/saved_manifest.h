// A manifest in a file: what --save-manifest writes of a transfer and `verify --manifest` reads. Text, a JSON object a
// line (doc/trees.md).
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "base/digest.h"
#include "core/endpoint.h"
#include "core/manifest.h"
#include "file/replacement.h"

namespace argosy::command {

inline constexpr std::string_view kManifestHead = R"({"argosy_manifest":1})";
// The last line, with the number of those between before its brace.
inline constexpr std::string_view kManifestEnd = R"({"argosy_manifest_end":)";

// One line without newline; `digest` is of a file's content.
std::string manifest_line(const core::Entry& entry, const std::optional<base::Digest>& digest);
// The entry that a line tells of, its digest in it. Throws base::Error (kSource): it is no such line.
core::Entry entry_of_line(const std::string& line, const std::string& shown);

// A source that writes down what is listed, each file once its digest is known. What nobody wants to have moved is read
// for its digest all the same.
class RecordedSource final : public core::Source {
 public:
  // `source` outlives it. `digest_of` reads a file's digest by the index of its entry, on an I/O thread. Blocks. Throws
  // base::Error (kDestination): `path` can't be written.
  RecordedSource(core::Source& source, const std::string& path);

  core::Listing next_entries() override;
  void adopt(const core::Page& page) override { source_.adopt(page); }
  std::size_t read(std::uint64_t entry, std::int64_t offset, std::span<std::byte> into) override {
    return source_.read(entry, offset, into);
  }
  bool read_whole(std::uint64_t entry, std::span<std::byte> into) override;
  core::Region region(std::uint64_t entry, std::int64_t offset, std::int64_t length) override {
    return source_.region(entry, offset, length);
  }
  void close(std::uint64_t entry) override;
  void skip(std::uint64_t entry) override;
  void ended(std::uint64_t entry, const base::Digest& digest) override;
  // The rest of the lines, and the file under its name. Blocks. Throws base::Error (kDestination).
  void finish();

 private:
  void add_line(const core::Entry& entry, const std::optional<base::Digest>& digest);
  void write_out();
  void leave_out(std::uint64_t entry);

  core::Source& source_;
  file::Replacement out_;
  std::uint64_t listed_ = 0;
  std::mutex mutex_;  // of what follows
  std::string lines_;
  std::int64_t count_ = 0;                     // of all lines so far
  std::map<std::uint64_t, core::Entry> open_;  // files whose digest is not known yet
};

}  // namespace argosy::command
