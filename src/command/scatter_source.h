// What a scatter deals: files, standard input, and folders as bytes. The root's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "command/move.h"
#include "command/options.h"
#include "command/recorded_source.h"
#include "command/saved_manifest.h"
#include "core/endpoint.h"
#include "core/stripe_manifest.h"
#include "core/tree_signature.h"
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
  // What the manifest of a new stripe says of it before it is dealt.
  void describe(std::size_t entry, core::StripeManifest& manifest) const;
  // A folder is to be read from its beginning. Blocks. Throws base::Error (kSource).
  void open_folder(std::size_t entry);
  // Instead of its bytes: what is in it, none at the end. Blocks.
  core::Listing next_names();
  // Where the entry's bytes are read, under its number: again from the beginning.
  core::Source& bytes_of(std::size_t entry);
  // Whether the folder `entry`, or with --checksum each byte of what it is dealt as, is what `there` was made of.
  // Blocks; false where something of it can't be read.
  bool is_in(std::size_t entry, const core::StripeManifest& there);
  // Of the folder that was opened last, once all its bytes have been read; nothing where something was left out.
  std::optional<core::TreeSignature> signature() const { return pack_ ? pack_->signature() : std::nullopt; }
  // The folder was in place: what is in it goes into the manifest, if one is wanted, and has to be read for that. What
  // can't be has a failure. Blocks.
  base::Failures record_in_place(std::size_t entry);
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
  std::uint64_t names_listed_ = 0;          // of it
  std::optional<SavedManifest> manifest_;
  bool placed_ = true;  // what has been put in the manifest since it was marked is in place
};

}  // namespace argosy::command
