// The supervisor's standard input on its way to rank 0: launchers drop it, or keep only a part of it.
#pragma once

namespace argosy::cli {

// Copies `from` to the connected socket `to` until `from` ends, then ends the connection so that its reader sees an
// end; in every other case the reader sees an error. Blocks; runs in a process of its own. Returns its exit code.
int pump_standard_input(int from, int to);

// Copies the socket `from` to `to`, standard output, until it ends, and then sends a '!' back. Blocks. Returns
// EXIT_SUCCESS, or EXIT_FAILURE where one of them failed: where `to` did, its errno has been sent back as a byte (EDOM,
// which is a '!', no write has).
int pump_standard_output(int from, int to);

}  // namespace argosy::cli
