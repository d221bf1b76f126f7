// The options that all commands share.
#pragma once

#include <cstdint>

#include "cli/values.h"
#include "command/options.h"

namespace argosy::cli {

// A chunk is at most this part of --memory.
inline constexpr std::int64_t kMemoryChunks = 16;

void add_common_options(CLI::App& app, command::CommonOptions& common, Texts& texts);

// Once CLI11 has set the flags: the values, and the rules they must keep; `any_chunk_size` lifts one of them. Throws
// base::Error (kUsage).
void read_common_options(const CLI::App& app, const Texts& texts, bool any_chunk_size, command::CommonOptions& common);

}  // namespace argosy::cli
