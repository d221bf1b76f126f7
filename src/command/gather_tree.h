// A folder that was striped, on the rank that gathers it: its bytes are collected in a file without a name, which
// nothing but this process sees, and when all of them are there and right the folder is made of them. All of it is for
// I/O threads.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/digest.h"
#include "base/fd.h"
#include "command/options.h"
#include "command/saved_manifest.h"
#include "core/stripe_endpoint.h"
#include "core/stripe_manifest.h"
#include "file/beneath.h"
#include "file/tree_sign.h"
#include "file/tree_unpack.h"
#include "file/writer.h"

namespace argosy::command {

// Whether the folder `out`, with what is wanted of its metadata, is what was striped: what is in it, then. Blocks;
// nothing where it is not, or can't be looked at.
std::optional<file::SignedTree> tree_in_place(const std::string& out, const core::StripeManifest& striped,
                                              const TreeOptions& wanted);

class GatheredTree final : public core::CellSink {
 public:
  // `name` in the folder `above` is OUT; `size` is that of the bytes. Blocks. Throws base::Error (kDestination): there
  // is no room, or something else is in the way.
  GatheredTree(const std::string& above, std::string name, const GatherOptions& asked, const CommonOptions& common,
               std::int64_t size);

  void put(const core::Cell& cell, const core::Row& row, std::span<const std::byte> data) override;
  void put_table(std::int64_t /*first_row*/, std::span<const std::byte> /*rows*/) override {}

  // Of the bytes, read once more. Blocks.
  std::optional<base::Digest> digest() const;
  // Makes the folder: a new one appears when it is whole, one that is there is added to. What it then has goes into
  // `manifest`, unless that is null. Blocks. Throws base::Error: kIntegrity where the bytes are no folder's, and then
  // nothing has changed.
  file::Unpacked unpack(SavedManifest* manifest);
  // The end. Without `stays` what was made on the way to OUT goes. Blocks.
  void leave(bool stays);

 private:
  file::Folder above_;
  std::string name_;
  const GatherOptions& asked_;
  const CommonOptions& common_;
  std::int64_t size_;
  std::string shown_;
  base::Fd fd_;
};

}  // namespace argosy::command
