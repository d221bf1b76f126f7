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
  std::optional<core::StripeManifest> manifest;
  bool is_this = false;  // that is the stripe's
};

struct FoundStripe {
  core::StripeManifest manifest;
  std::string text;  // of the manifest
  engine::Sight sight;
  std::vector<FolderSeen> folders;  // of all ranks
  // What a folder with a manifest of another generation is: one that this stripe has replaced, and nobody's any more?
  bool has_replaced(const FolderSeen& one) const;
};

// Collective: nothing where there is no such stripe, which is reported then. Of several generations it is the latest
// that can be had; one that such a later one has replaced, which can't be had, is not taken for it, and that an
// unrelated later one is seen is said in a warning. `shelf` is filled on every rank.
std::optional<FoundStripe> find_stripe(StripeJob& job, const StripeName& asked, file::StripeShelf& shelf);

// Where this rank would have a share: DIR expanded, and the stripe's folder in it.
std::string own_directory(const StripeJob& job, const StripeName& asked);
std::string own_folder(const StripeJob& job, const StripeName& asked);
// Whether this rank sees a stripe of that name and another generation. Blocks: for I/O threads.
bool sees_another(const StripeJob& job, const StripeName& asked, const std::string& generation);
// Collective: what this rank sees of the generations that `manifest` has replaced goes, where no other run works on it.
// Call once all of `manifest`'s stripe is in place.
void clear_replaced(StripeJob& job, const StripeName& asked, const core::StripeManifest& manifest);

}  // namespace argosy::command
