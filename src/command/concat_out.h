// What `gather --concat` makes at the receiver: for each OUT, as its templates give it for one giver or for several,
// the folder and the writer beneath it. All that blocks is for an I/O thread.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "command/concat_sink.h"
#include "command/options.h"
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
  // At the receiver: makes the folders. Where one can't be had its failure is appended. Blocks.
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
  // has `failed`. True when what has come is to be seen. Blocks.
  bool finish(bool failed, std::uint64_t& hard_links, std::vector<base::Failure>& failures);
  // After finish(): durable with --fsync; where nothing has `arrived`, the folders that were made are gone. Blocks.
  // Throws base::Error (kDestination).
  void close(bool arrived);
  // What has been found since the last call that would change, where nothing is to be moved. Does not block.
  std::vector<std::string> take_names();

 private:
  void open(Gathering& gathering) const;
  std::string path_of(const Gathering& gathering) const;

  const Options& options_;
  const GatherOptions& asked_;
  const std::vector<std::string>& hosts_;
  std::deque<Gathering> gatherings_;
};

}  // namespace argosy::command
