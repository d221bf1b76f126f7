// A worker's part in a stripe's folder, DIR/NAME.argosy, while it is written: its share, and where it leads the folder,
// the table and the manifest beside it. All is written into a folder beside the target, which takes the target's place
// with one rename: an old stripe and a new one never mix. Workers that share a folder write into one.
//
// The order, which all workers keep: prepare (leaders), open, write, finish, publish (leaders); then either clean or,
// where a leader could not publish, take_back. Everything blocks: for I/O threads.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>

#include "base/fd.h"
#include "core/stripe_endpoint.h"
#include "core/stripe_manifest.h"
#include "file/beneath.h"
#include "file/lock.h"

namespace argosy::file {

class ShareStore final : public core::ShareSink {
 public:
  struct Settings {
    core::StripeLayout layout = core::StripeLayout::kStripe;
    std::int64_t chunk_size = 0;
    std::uint32_t worker = 0;
    std::uint32_t mode = 0600;  // of the file that is striped: its chunks are as secret
    bool fsync = false;
  };
  // `folder` is DIR and outlives the store; `name` is the file's.
  ShareStore(const Folder& folder, const std::string& name, Settings settings);
  // Takes away what was prepared and not published.
  ~ShareStore() override;
  ShareStore(const ShareStore&) = delete;
  ShareStore& operator=(const ShareStore&) = delete;

  // The folder's leader: takes the lock, removes what an earlier run has left, makes the folder, and takes the table's
  // room. Throws base::Error (kDestination), also where something that is no stripe has the target's name.
  void prepare(std::int64_t table_bytes);
  // Takes the share's room; 0 where it isn't known.
  void open(std::int64_t share_bytes);
  void write(const core::Place& place, std::span<const std::byte> data) override;
  void write_table(std::int64_t first_row, std::span<const std::byte> rows) override;
  // Gives back room that was not needed, and closes; without `keep` the share is removed. Leaders write the manifest.
  void finish(bool keep, const std::string& manifest);
  void publish();
  // What was in the target's place is there again.
  void take_back() noexcept;
  // What was in the target's place is removed.
  void clean() noexcept;

 private:
  void open_folder();
  void write_chunk(const core::Place& place, std::span<const std::byte> data);
  void shrink_room(std::size_t bytes);
  void write_file(const char* name, const std::string& text) const;
  std::string shown(const std::string& name) const;

  const Folder& folder_;
  Settings settings_;
  std::string target_;     // NAME.argosy
  std::string temporary_;  // beside it
  std::optional<Lock> lock_;
  bool made_ = false;       // the temporary folder is ours to remove
  bool published_ = false;  // what has the temporary name now is the old stripe, if there is one
  base::Fd inside_;         // the temporary folder
  std::string share_name_;
  base::Fd share_;  // layout chunks: room, given back chunk by chunk
  base::Fd table_;
  std::mutex mutex_;
  std::int64_t end_ = 0;   // of what was written to the share
  std::int64_t room_ = 0;  // layout chunks: what is left of it
};

// Whether `name` is one that a stripe's folder may hold.
bool is_stripe_name(const std::string& name);

}  // namespace argosy::file
