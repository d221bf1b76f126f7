// A worker's part in a stripe's folder, DIR/NAME.argosy, while it is written: its share, and where it leads the folder,
// the table and the manifest beside it. All is written into a folder of the workplace (file/stripe_workplace.h), which
// takes the target's place with one rename: an old stripe and a new one never mix. Workers that share a folder write
// into one.
//
// The order, which all workers keep: prepare (leaders), open, write, finish, publish (leaders); then either clean or,
// where a leader could not publish, take_back. Everything blocks: for I/O threads.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

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
    std::string generation;
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

  // The folder's leader: takes the lock, removes what an earlier run has left, makes the folder, and takes room for the
  // table, of which nothing may be known yet (0), and for a manifest of up to so many bytes. Throws base::Error
  // (kDestination), also where something that is no stripe has the target's name.
  void prepare(std::int64_t table_bytes, std::int64_t manifest_bytes);
  // Throws, too, where there is no room for so many bytes; 0 where they aren't known.
  void open(std::int64_t share_bytes);
  void write(const core::Place& place, std::span<const std::byte> data) override;
  void write_table(std::int64_t first_row, std::span<const std::byte> rows) override;
  // The stripes that publish() and clean() will remove, once prepared.
  const std::vector<core::StripeManifest>& replaced() const { return replaced_; }
  // Closes; without `keep` the share is removed. Leaders write the manifest.
  void finish(bool keep, const std::string& manifest);
  void publish();
  // What was in the target's place is there again.
  void take_back() noexcept;
  // What was in the target's place is removed, and all else in the workplace that is older.
  void clean() noexcept;

 private:
  void open_folder();
  void write_chunk(const core::Place& place, std::span<const std::byte> data);
  base::Fd create(const std::string& name) const;
  std::string shown(const std::string& name) const;

  const Folder& folder_;
  Settings settings_;
  std::string target_;     // NAME.argosy
  std::string workplace_;  // beside it
  std::string temporary_;  // in the workplace
  std::vector<core::StripeManifest> replaced_;
  std::optional<Lock> lock_;
  bool made_ = false;       // the temporary folder is ours to remove
  bool published_ = false;  // what has the temporary name now is the old stripe, if there is one
  base::Fd inside_;         // the temporary folder
  std::string share_name_;
  base::Fd share_;  // layout stripe
  base::Fd table_;
  base::Fd manifest_;
};

}  // namespace argosy::file
