// The signals that ask a job to stop: caught once, read by every loop.
#pragma once

namespace argosy::base {

// From now on SIGINT, SIGTERM and SIGHUP only set a flag. Call it after MPI_Init, which may install handlers.
void catch_interrupts();

// The first such signal's number, or 0.
int interrupted();

// As if `signal_number` had been caught: another rank, or the supervisor, has asked to stop.
void interrupt(int signal_number);

}  // namespace argosy::base
