#include "base/failures.h"

#include <utility>

namespace argosy::base {

void Failures::add(Failure failure) {
  ++total_;
  const bool worse = more_telling(failure.kind, worst_);
  if (worse) worst_ = failure.kind;
  if (kept_.size() < most_) {
    kept_.push_back(std::move(failure));
  } else if (worse) {
    kept_.back() = std::move(failure);
  }
}

void Failures::add(std::vector<Failure> failures) {
  for (Failure& failure : failures) add(std::move(failure));
}

void Failures::add(const Failures& others) {
  add(others.kept_);
  total_ += others.total_ - static_cast<std::int64_t>(others.kept_.size());
}

void Failures::leave_out(int error_number) {
  total_ -= static_cast<std::int64_t>(
      std::erase_if(kept_, [&](const Failure& failure) { return failure.error_number == error_number; }));
}

}  // namespace argosy::base
