// Failures as they come, of which there may be as many as there are files: the first are kept, all are counted, and the
// most telling one is always among those that are kept.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/error.h"

namespace argosy::base {

inline constexpr std::size_t kFailuresKept = 1000;

class Failures {
 public:
  // At most `most` are kept, and at least one.
  explicit Failures(std::size_t most = kFailuresKept) : most_(most) {}

  void add(Failure failure);
  void add(std::vector<Failure> failures);
  void add(const Failures& others);
  // Leaves out those kept that have this errno.
  void leave_out(int error_number);

  const std::vector<Failure>& kept() const { return kept_; }
  std::int64_t total() const { return total_; }
  bool empty() const { return total_ == 0; }

 private:
  std::size_t most_;
  std::vector<Failure> kept_;
  std::int64_t total_ = 0;
  Kind worst_ = Kind::kNone;  // of all
};

}  // namespace argosy::base
