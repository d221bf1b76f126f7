// Whether a worker's part of a stripe stands where a scatter would write it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "core/stripe_manifest.h"

namespace argosy::file {

// The manifest in the folder `path`, DIR/NAME.argosy, and in `text` its text, where beside it are the right table and,
// in their right sizes, the chunks that the rule deals to `worker`; with `contents` they are read and compared with
// their digests. Nothing where something is missing or not as the rule has it, or an interrupted run has left anything.
// Blocks.
std::optional<core::StripeManifest> share_in_place(const std::string& path, std::uint32_t worker, bool contents,
                                                   std::string& text);

}  // namespace argosy::file
