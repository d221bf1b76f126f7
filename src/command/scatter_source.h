// What a scatter deals: files, standard input, and folders as bytes. The root's.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <vector>

#include "command/move.h"
#include "command/options.h"
#include "command/recorded_source.h"
#include "command/saved_manifest.h"
#include "core/endpoint.h"
#include "file/reader.h"
#include "file/tree_pack.h"

namespace argosy::command {

class ScatterSource {
 public:
  // All outlive it.
  ScatterSource(const Options& options, const ScatterOptions& asked, const Surroundings& surroundings)
      : options_(options), asked_(asked), surroundings_(surroundings) {}

  // Looks at everything that was named. Blocks. Throws base::Error as resolve() and selection_of() do, and
  // (kDestination) where there can't be the manifest that is to be saved.
  void scan();
  // What there is to deal, one after another; folders are open-ended. And what can't be had of it.
  const std::vector<core::Entry>& entries() const { return entries_; }
  const std::vector<base::Failure>& failures() const { return failures_; }
  bool is_folder(std::size_t entry) const { return entry >= first_folder_; }
  // A folder is to be read from its beginning. Blocks. Throws base::Error (kSource).
  void open_folder(std::size_t entry);
  // Where the entry's bytes are read, under its number: again from the beginning.
  core::Source& bytes_of(std::size_t entry);
  // What could not be read of the folder that was opened last, once.
  base::Failures take_failures();
  // The file, of this size and digest, or the folder is in place, for the manifest. Main thread.
  void placed(std::size_t entry, std::int64_t size, const base::Digest& digest);
  // The manifest of all that is, if one is wanted. Blocks. Throws base::Error (kDestination).
  void save_manifest();

 private:
  void drop_unplaced();

  const Options& options_;
  const ScatterOptions& asked_;
  const Surroundings& surroundings_;
  file::Selection selection_;
  std::unique_ptr<file::Reader> files_;
  std::vector<core::Entry> entries_;  // the files', and from `first_folder_` on the folders'
  std::size_t first_folder_ = 0;
  std::vector<file::Named> folders_;
  std::vector<base::Failure> failures_;
  std::unique_ptr<file::Reader> folder_;    // the one that is being dealt,
  std::optional<RecordedSource> recorded_;  // what is said of it in the manifest, and
  std::optional<file::TreePack> pack_;      // its bytes
  std::optional<SavedManifest> manifest_;
  bool placed_ = true;  // what has been put in the manifest since it was marked is in place
};

}  // namespace argosy::command
