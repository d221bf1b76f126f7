// Repairs a stripe's folder in its place: a share, the table and the manifest are written beside what is there and then
// renamed over it, one by one; each is whole at every moment. Everything blocks: for I/O threads.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <span>
#include <string>

#include "base/fd.h"
#include "core/stripe_endpoint.h"
#include "core/stripe_manifest.h"
#include "file/beneath.h"
#include "file/lock.h"

namespace argosy::file {

class SharePatch final : public core::ShareSink {
 public:
  // `folder` is DIR and outlives the patch; NAME.argosy is in it. `share`: the one that is written, if any. Takes the
  // stripe's lock. Throws base::Error (kDestination).
  SharePatch(const Folder& folder, const core::StripeManifest& manifest, std::optional<std::uint32_t> share,
             bool fsync);
  // Takes away what was not put in place.
  ~SharePatch() override;
  SharePatch(const SharePatch&) = delete;
  SharePatch& operator=(const SharePatch&) = delete;

  void write(const core::Place& place, std::span<const std::byte> data) override;
  void write_table(std::int64_t first_row, std::span<const std::byte> rows) override;
  // All is there: puts it in place.
  void finish(const std::string& manifest);

 private:
  base::Fd create(const std::string& name) const;
  void remove_parts() noexcept;
  void put_in_place(base::Fd& fd, const std::string& name);
  void write_chunk(const core::Place& place, std::span<const std::byte> data);
  std::string shown(const std::string& name) const;

  const Folder& folder_;
  core::StripeManifest manifest_;
  std::optional<std::uint32_t> share_number_;
  bool fsync_;
  std::string target_;
  std::optional<Lock> lock_;
  base::Fd inside_;
  base::Fd share_;
  base::Fd table_;
};

}  // namespace argosy::file
