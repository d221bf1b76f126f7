// Scattering a folder again: whether all of it stands already where this scatter would put it.
#pragma once

#include <functional>
#include <optional>

#include "command/options.h"
#include "command/stripe_job.h"
#include "core/stripe_manifest.h"

namespace argosy::command {

// Collective. `meant` is the stripe that would be written, as far as that is known before it is dealt: every worker of
// it looks for its share of one like it, and `root` asks `is_of_source` (on an I/O thread) whether the source is what
// that one was made of. Its manifest, on every rank, where all of this holds. What can't be looked at is not in place,
// and no failure: writing it will tell.
std::optional<core::StripeManifest> find_in_place(
    StripeJob& job, const ScatterOptions& asked, const core::StripeManifest& meant, int root,
    const std::function<bool(const core::StripeManifest& there)>& is_of_source);

}  // namespace argosy::command
