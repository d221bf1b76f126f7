// For the files of this folder only: checked MPI calls.
#pragma once

#include <mpi.h>

namespace argosy::mpi {

// Throws base::Error (kSystem) with MPI's own words when `code` is an error; `call` names the function.
void check(int code, const char* call);

}  // namespace argosy::mpi
