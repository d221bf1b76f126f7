// The names of commands that take DIR/NAME, a stripe.
#pragma once

#include <string>

#include "command/options.h"

namespace argosy::cli {

// DIR/NAME, or DIR/NAME.argosy. Throws base::Error (kUsage).
command::StripeName parse_stripe_name(const std::string& text);

}  // namespace argosy::cli
