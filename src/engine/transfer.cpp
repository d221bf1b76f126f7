#include "engine/transfer.h"

namespace argosy::engine {

Transfer::Transfer(core::Transport& transport, Workers& workers, Pool& pool, const core::Route& route,
                   core::Source* source, core::Sink* sink, const Settings& settings)
    : relay_(transport, route, pool, settings.relay, [this](Arrival arrival) {
        if (destination_) destination_->arrived(std::move(arrival));
      }) {
  if (source != nullptr) {
    origin_ = std::make_unique<Origin>(transport, workers, pool, relay_, route, *source, settings.origin);
  }
  if (sink != nullptr) destination_ = std::make_unique<Destination>(transport, workers, route, *sink);
}

bool Transfer::step() {
  const bool origin = origin_ && origin_->step();
  const bool destination = destination_ && destination_->step();
  return relay_.step() || origin || destination;
}

bool Transfer::done() const { return (!origin_ || origin_->done()) && (!destination_ || destination_->done()); }

void Transfer::stop() {
  if (origin_) origin_->stop();
  if (destination_) destination_->stop();
}

std::vector<base::Failure> Transfer::failures() const {
  std::vector<base::Failure> all;
  if (origin_) all = origin_->failures();
  if (destination_) all.insert(all.end(), destination_->failures().begin(), destination_->failures().end());
  return all;
}

std::pair<int, std::string> Transfer::waits_for() const {
  if (origin_ && !origin_->done()) return origin_->waits_for();
  if (destination_ && !destination_->done()) return destination_->waits_for();
  return {core::kNobody, {}};
}

}  // namespace argosy::engine
