// The phase in which every chunk of a stripe is looked at where it lies, as verify and repair run it.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "command/stripe_find.h"
#include "command/stripe_job.h"
#include "engine/checker.h"

namespace argosy::command {

struct Checked {
  std::map<std::uint32_t, engine::ShareState> shares;
  int losses = 0;  // see engine::Checker
  std::int64_t rows_lost = 0;
  bool done = false;
};

// Collective; rank 0 knows the outcome afterwards.
Checked check(StripeJob& job, const FoundStripe& found, file::StripeShelf& shelf, const Parcels& parcels);

// A line for each share that is not whole, with the folder where it is looked for first (rank 0).
void report_shares(StripeJob& job, const FoundStripe& found, const Checked& checked, const std::string& shown);

// What the report says of it (rank 0).
StripeReport describe(const FoundStripe& found, const Checked& checked, const StripeJob& job);

}  // namespace argosy::command
