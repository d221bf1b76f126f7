#include "engine/transfer.h"

namespace argosy::engine {

Transfer::Transfer(core::Transport& transport, Workers& workers, Pools& pools, const core::Route& route,
                   core::Source* source, core::Sink* sink, const Settings& settings)
    : transport_(transport),
      relay_(transport, route, pools.lanes, settings.relay,
             [this](Arrival arrival) {
               if (origin_ && !arrival.own && arrival.view) origin_->passes(*arrival.view);
               if (destination_) return destination_->arrived(std::move(arrival));
               // A destination ends by its receipt; who only hands on needs to read where the stream ends.
               if (!arrival.view) throw base::Error(base::Kind::kIntegrity, {}, 0, arrival.why);
             }),
      control_(transport, route) {
  if (source != nullptr)
    origin_ = std::make_unique<Origin>(transport.rank(), route, workers, pools.reading, relay_, control_, *source,
                                       settings.origin);
  if (sink != nullptr) destination_ = std::make_unique<Destination>(route.origins(), workers, relay_, control_, *sink);
  Control::Handlers handlers;
  listens_ = origin_ && route.root() != transport.rank();
  for (int lane = 0; lane < route.lanes(); ++lane) {
    hands_on_ = hands_on_ || (!destination_ && route.incoming(transport.rank(), lane, 0).has_value());
  }
  if (destination_ || listens_) {
    handlers.page = [this](core::Page page) {
      if (listens_) origin_->page_arrived(page);
      if (destination_) destination_->page_arrived(std::move(page));
    };
  }
  if (listens_) handlers.grant = [this](const core::Answer& grant) { origin_->answered(grant); };
  if (destination_) {
    handlers.has_room = [this] { return destination_->has_room(); };
  }
  if (origin_ && !listens_) {
    handlers.answer = [this](const core::Answer& answer) { origin_->answered(answer); };
    handlers.receipt = [this](const core::Receipt& receipt) { origin_->received(receipt); };
  }
  control_.set(std::move(handlers));
}

bool Transfer::step() {
  const bool origin = origin_ && origin_->step();
  const bool relay = relay_.step();
  const bool destination = destination_ && destination_->step();
  return control_.step() || origin || relay || destination;
}

bool Transfer::done() const {
  if ((listens_ || hands_on_) && !relay_.has_all()) return false;
  return (!origin_ || origin_->done()) && (!destination_ || destination_->done()) && control_.done() && relay_.idle();
}

void Transfer::stop() {
  relay_.hurry();
  if (origin_) origin_->stop();
  if (destination_) destination_->stop();
}

void Transfer::sample(double passed) {
  relay_.add_busy(passed);
  if (destination_ && !destination_->done() && !destination_->is_writing() && !relay_.has_backlog())
    network_wait_ += passed;
}

base::Failures Transfer::failures() const {
  base::Failures all;
  if (origin_) all.add(origin_->failures());
  if (destination_) all.add(destination_->failures());
  return all;
}

std::pair<int, std::string> Transfer::waits_for() const {
  if (done()) return {core::kNobody, {}};
  if (origin_ && origin_->is_reading()) return {transport_.rank(), "its own source"};
  if (destination_ && destination_->is_writing()) return {transport_.rank(), "its own disk"};
  if (const int peer = relay_.waits_for(); peer != core::kNobody) return {peer, "a chunk to be taken"};
  if (const int parent = control_.parent(); parent != core::kNobody && destination_ && !destination_->done()) {
    return {parent, control_.has_all_pages() ? "data" : "the manifest"};
  }
  return {control_.waits_for(), "its receipt"};
}

}  // namespace argosy::engine
