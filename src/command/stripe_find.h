// Finds a stripe: every rank looks into the folders that it sees, and all come to the same idea of which stripe is
// meant and who has what of it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "command/stripe_job.h"
#include "core/stripe_manifest.h"
#include "engine/stripe_table.h"
#include "file/stripe_shelf.h"

namespace argosy::command {

// A folder as its rank has told of it.
struct FolderSeen {
  engine::Seen seen;
  file::StripeFolder folder;
  bool is_this = false;  // its manifest is the stripe's
};

struct FoundStripe {
  core::StripeManifest manifest;
  std::string text;  // of the manifest
  engine::Sight sight;
  std::vector<FolderSeen> folders;  // of all ranks
};

// Collective: nothing where there is no such stripe, which is reported then. `shelf` is filled on every rank.
std::optional<FoundStripe> find_stripe(StripeJob& job, const StripeName& asked, file::StripeShelf& shelf);

// Where this rank would have a share: DIR expanded, and the stripe's folder in it.
std::string own_directory(const StripeJob& job, const StripeName& asked);
std::string own_folder(const StripeJob& job, const StripeName& asked);

}  // namespace argosy::command
