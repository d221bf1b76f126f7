// What `gather --concat` makes at the receiver: for each OUT, as its templates give it for one giver or for several,
// the folder and the writer beneath it. All that blocks is for an I/O thread.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "command/concat_sink.h"
#include "command/options.h"
#include "command/saved_manifest.h"
#include "file/beneath.h"
#include "file/walk.h"

namespace argosy::command {

class ConcatOut {
 public:
  // All outlive it. `hosts` are those of all ranks.
  ConcatOut(const Options& options, const GatherOptions& asked, const std::vector<std::string>& hosts)
      : options_(options), asked_(asked), hosts_(hosts) {}

  // `giver` is to put its files there. The givers in their order; on every rank.
  void add(int giver);
  // At the receiver: makes the folders. Where one can't be had its failure is appended. Blocks. Throws base::Error
  // (kDestination) where there can't be the manifest that is to be saved.
  void open(std::vector<base::Failure>& failures);
  // A character for each OUT, in the order of add(): '1' where it was opened.
  std::string opened() const;
  // The givers whose OUT has a '0' there.
  std::vector<int> without(const std::string& opened) const;
  // The givers that share their OUT with another.
  std::vector<int> sharing() const;
  // What of the folders is on this host: a giver does not walk into them. Blocks.
  std::vector<file::FolderId> folders() const;
  // Where a giver's stream goes.
  std::unique_ptr<core::Sink> sink_of(int giver, ConcatSink::Purpose purpose);
  // With nothing under way any more: hard links, folders' metadata; with --publish shows the folders unless something
  // has `failed`. Into `finished` goes what all of it came to. True when what has come is to be seen. Blocks.
  bool finish(bool failed, file::Writer::Finished& finished);
  // Where a peer can't be trusted and nothing is under way any more: what is unfinished goes, and the folders that were
  // made. Blocks.
  void distrust();
  // After finish(): durable with --fsync; where nothing has `arrived`, the folders that were made are gone. Blocks.
  // Throws base::Error (kDestination).
  void close(bool arrived);
  // The manifest of all that stands there now, where one is wanted. Blocks. Throws base::Error (kDestination).
  void save_manifest();
  // What has been found since the last call that would change, where nothing is to be moved. Does not block.
  std::vector<std::string> take_names();

 private:
  void open(Gathering& gathering);
  std::string path_of(const Gathering& gathering) const;
  void put_in_manifest(const std::string& folder, const core::Entry& entry, const std::optional<base::Digest>& digest);

  const Options& options_;
  const GatherOptions& asked_;
  const std::vector<std::string>& hosts_;
  std::deque<Gathering> gatherings_;
  std::optional<SavedManifest> manifest_;
  std::string manifest_top_;  // the folder that its paths begin in, with a slash behind it
};

}  // namespace argosy::command
