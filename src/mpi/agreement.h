// How a phase ends: all ranks agree on the most telling failure, and on sums of what they did, in one non-blocking
// reduction (MPI 3.1 section 5.12, with an operation of our own), which the phase's loop tests while it goes on serving
// others.
#pragma once

#include <cstdint>
#include <memory>

#include "base/error.h"

namespace argosy::mpi {

// One rank's word before, everybody's after. Sums are over all ranks.
struct Verdict {
  base::Failure failure;       // the most telling one; its path is cut to 1023 bytes on the way
  std::int64_t succeeded = 0;  // sum: files, or whatever the phase counts
  std::int64_t failed = 0;     // sum
  std::int64_t bytes = 0;      // sum
  std::int64_t files = 0;      // sum
  bool open_ended = false;     // any: the bytes are not known
  int interrupted = 0;         // any: a signal's number
};

class Agreement {
 public:
  struct State;
  explicit Agreement(std::unique_ptr<State> state);
  Agreement(Agreement&&) noexcept;
  Agreement& operator=(Agreement&&) noexcept;
  // An agreement that has begun must be tested until it is reached.
  ~Agreement();

  // True once every rank has given its word. Never blocks.
  bool reached();
  // After reached().
  Verdict verdict() const;

 private:
  std::unique_ptr<State> state_;
};

}  // namespace argosy::mpi
