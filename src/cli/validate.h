// The rules that a command line must keep before anything is started. Each throws base::Error (kUsage) with one clear
// line; the option's name comes first in it.
#pragma once

#include <cstdint>

#include "command/options.h"

namespace argosy::cli {

// A chunk is at most this part of --memory.
inline constexpr std::int64_t kMemoryChunks = 16;

void validate(const command::CommonOptions& options);
void validate(const command::SendOptions& options);
void validate(const command::BcastOptions& options);

}  // namespace argosy::cli
