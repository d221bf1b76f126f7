// A source whose entries a manifest is saved of as they are listed, each file once its digest is known: at the rank
// that reads. What nobody wants to have moved is read for its digest all the same.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>

#include "base/failures.h"
#include "command/saved_manifest.h"
#include "core/endpoint.h"
#include "file/reader.h"

namespace argosy::command {

class RecordedSource final : public core::Source {
 public:
  // Both outlive it.
  RecordedSource(core::Source& source, SavedManifest& manifest) : source_(source), manifest_(manifest) {}

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
  // Files in place of which the digest could not be had, and which are not in the manifest for that. With nothing under
  // way.
  const base::Failures& failures() const { return failures_; }

 private:
  void leave_out(std::uint64_t entry);
  base::Digest digest_of(std::uint64_t index, const core::Entry& entry);

  core::Source& source_;
  SavedManifest& manifest_;
  std::uint64_t listed_ = 0;
  std::mutex mutex_;                           // of what follows
  std::map<std::uint64_t, core::Entry> open_;  // files whose digest is not known yet
  base::Failures failures_;
};

// Puts the folder `named`, of which nothing is to be moved, with all that `selection` has of it into `manifest`.
// Blocks. What can't be read is not in it, and has a failure.
base::Failures record_tree(const file::Named& named, const file::Selection& selection, SavedManifest& manifest);

}  // namespace argosy::command
