// A manifest in a file: what --save-manifest writes of a transfer and `verify --manifest` reads. Text, a JSON object a
// line (doc/trees.md). Where files are sent, the rank that reads them has it (recorded_source.h), where they are
// gathered or fetched the one that writes them.
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "base/digest.h"
#include "core/manifest.h"
#include "file/replacement.h"

namespace argosy::command {

inline constexpr std::string_view kManifestHead = R"({"argosy_manifest":1})";
// The last line, with the number of those between before its brace.
inline constexpr std::string_view kManifestEnd = R"({"argosy_manifest_end":)";

// What base::to_string has made of a digest; nothing where it is none.
std::optional<base::Digest> digest_of_text(std::string_view text);

// One line without newline; `digest` is of a file's content.
std::string manifest_line(const core::Entry& entry, const std::optional<base::Digest>& digest);
// The entry that a line tells of, its digest in it. Throws base::Error (kSource): it is no such line.
core::Entry entry_of_line(const std::string& line, const std::string& shown);

// The file while it is written: beside its name, which it gets when it is whole.
class SavedManifest {
 public:
  // Blocks. Throws base::Error (kDestination): `path` can't be written.
  explicit SavedManifest(const std::string& path);

  // Any thread; does no I/O.
  void add(const core::Entry& entry, const std::optional<base::Digest>& digest);
  // What has been added leaves memory where it is much. Any thread; blocks. An error is told by finish().
  void write_out();
  // The same of all of it, and from here on drop() takes back what is added. Blocks.
  void mark();
  void drop();
  // Nothing has been added.
  bool empty() const { return count_ == 0; }
  // The rest of the lines, and the file under its name; without this nothing has changed there. Blocks. Throws
  // base::Error (kDestination).
  void finish();

 private:
  void write_all();

  std::mutex writing_;  // of the file, and before the other where both are held
  file::Replacement out_;
  std::mutex mutex_;  // of what follows
  std::string lines_;
  std::int64_t count_ = 0;  // of all lines so far
  std::int64_t marked_ = 0;
};

// For file::Writer::Settings: what stands at the destination goes into `manifest`, which outlives it.
inline auto put_into(SavedManifest& manifest) {
  return [&manifest](const core::Entry& entry, const std::optional<base::Digest>& digest) {
    manifest.add(entry, digest);
    manifest.write_out();
  };
}

}  // namespace argosy::command
