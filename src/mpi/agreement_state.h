// For the files of this folder only: an agreement's message and its operation.
#pragma once

#include <array>
#include <cstdint>
#include <memory>

#include "mpi/agreement.h"
#include "mpi/calls.h"

namespace argosy::mpi {

// A Verdict in one fixed size, as the reduction takes it.
struct Ballot {
  std::int32_t kind = 0;
  std::int32_t rank = 0;
  std::int32_t error_number = 0;
  std::int32_t open_ended = 0;
  std::int32_t interrupted = 0;
  std::int64_t succeeded = 0;
  std::int64_t failed = 0;
  std::int64_t bytes = 0;
  std::int64_t files = 0;
  std::array<char, 1024> path{};
  std::array<char, 512> message{};
  std::array<char, 256> host{};
};

struct Agreement::State {
  Ballot mine;
  Ballot all;
  MPI_Request request = MPI_REQUEST_NULL;
};

// The datatype and operation of the reduction; made once, after MPI_Init, and freed before MPI_Finalize.
struct BallotType {
  BallotType();
  ~BallotType();
  BallotType(const BallotType&) = delete;
  BallotType& operator=(const BallotType&) = delete;
  MPI_Datatype type = MPI_DATATYPE_NULL;
  MPI_Op operation = MPI_OP_NULL;
};

std::unique_ptr<Agreement::State> start_agreement(MPI_Comm communicator, const BallotType& type, const Verdict& mine);

}  // namespace argosy::mpi
