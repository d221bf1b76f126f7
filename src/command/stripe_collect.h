// The phase in which a stripe's chunks come together on one rank, as gather and repair run it.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>

#include "command/stripe_find.h"
#include "command/stripe_job.h"
#include "core/stripe_endpoint.h"
#include "engine/collector.h"

namespace argosy::command {

// The parcels and memory for collecting or checking `manifest`'s chunks on rank `center`. Collective; false where
// --memory has no room, which is reported.
bool take_memory(StripeJob& job, const core::StripeManifest& manifest, int center, Parcels& parcels);

struct Collected {
  engine::Collector::Counts counts;
  bool whole = false;  // everything wanted has been put
};

// Collective. `sink` is rank `center`'s and null elsewhere; the other settings matter there only. Failures are reported
// on `center`, under `shown`.
Collected collect(StripeJob& job, const FoundStripe& found, file::StripeShelf& shelf, const Parcels& parcels,
                  int center, core::CellSink* sink, engine::Collector::Settings settings, const std::string& shown);

}  // namespace argosy::command
