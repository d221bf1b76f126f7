#include "command/concat_streams.h"

#include <algorithm>

namespace argosy::command {

ConcatStreams::ConcatStreams(mpi::Session& session, engine::Workers& workers, std::span<std::byte> slots, Setup setup)
    : session_(session), workers_(workers), slots_(slots), setup_(std::move(setup)), me_(session.rank()) {
  const bool receives = me_ == setup_.receiver;
  const bool gives = std::find(setup_.givers.begin(), setup_.givers.end(), me_) != setup_.givers.end();
  if (gives) start(me_, 0);
  if (!receives) return;
  for (const int giver : setup_.givers) {
    if (giver != me_) waiting_.push_back(giver);
  }
  for (std::size_t place = setup_.memory.at_once; place > 0; --place) places_.push_back(place - 1);
  start_waiting();
}

// A rank's own slots for reading come first, then those of each place.
void ConcatStreams::start(int giver, std::size_t place) {
  const ConcatMemory& memory = setup_.memory;
  const std::size_t reading = memory.reading[static_cast<std::size_t>(me_)] * memory.slot;
  auto stream = std::make_unique<Stream>();
  stream->giver = giver;
  stream->place = place;
  const bool own = giver == me_;
  if (own && me_ == setup_.receiver) {
    stream->route = std::make_unique<core::Within>(me_);
  } else {
    stream->route = std::make_unique<core::Direct>(giver, setup_.receiver);
  }
  const std::size_t a_place = memory.receiving * memory.slot;
  const auto read_into = own ? slots_.first(reading) : std::span<std::byte>();
  const auto receive_into = own ? std::span<std::byte>() : slots_.subspan(reading + place * a_place, a_place);
  stream->pools.emplace(engine::Pools{engine::Pool(read_into, memory.slot), {}});
  stream->pools->lanes.emplace_back(receive_into, memory.slot);
  if (me_ == setup_.receiver) stream->sink = setup_.sink_of(giver);
  stream->transfer =
      std::make_unique<engine::Transfer>(session_.transport(), workers_, *stream->pools, *stream->route,
                                         own ? setup_.source : nullptr, stream->sink.get(), setup_.settings);
  if (stopped_) stream->transfer->stop();
  streams_.push_back(std::move(stream));
}

void ConcatStreams::start_waiting() {
  while (!waiting_.empty() && !places_.empty()) {
    const std::size_t place = places_.back();
    places_.pop_back();
    const int giver = waiting_.front();
    waiting_.pop_front();
    start(giver, place);
  }
}

bool ConcatStreams::step() {
  bool busy = false;
  for (const auto& stream : streams_) busy = stream->transfer->step() || busy;
  // A stream that has come to its end makes room. This rank's own stays: its last tasks may still be under way.
  std::erase_if(streams_, [this](const auto& stream) {
    if (stream->giver == me_ || !stream->transfer->done()) return false;
    add(over_, *stream->transfer);
    add(counted_, *stream->transfer);
    places_.push_back(stream->place);
    return true;
  });
  start_waiting();
  return busy;
}

bool ConcatStreams::done() const {
  return waiting_.empty() &&
         std::all_of(streams_.begin(), streams_.end(), [](const auto& stream) { return stream->transfer->done(); });
}

void ConcatStreams::stop() {
  stopped_ = true;
  for (const auto& stream : streams_) stream->transfer->stop();
}

void ConcatStreams::sample(double passed) {
  // The receiver waits for the network while all that it receives from do.
  bool waits = true;
  bool receives = false;
  for (const auto& stream : streams_) {
    const double before = stream->transfer->network_wait();
    stream->transfer->sample(passed);
    if (stream->transfer->destination() == nullptr || stream->transfer->done()) continue;
    receives = true;
    waits = waits && stream->transfer->network_wait() > before;
  }
  if (receives && waits) network_wait_ += passed;
}

std::pair<int, std::string> ConcatStreams::waits_for() const {
  for (const auto& stream : streams_) {
    if (!stream->transfer->done()) return stream->transfer->waits_for();
  }
  return {core::kNobody, {}};
}

void ConcatStreams::add(engine::Destination::Counts& counts, const engine::Transfer& transfer) {
  if (transfer.destination() == nullptr) return;
  const engine::Destination::Counts& more = transfer.destination()->counts();
  counts.bytes_written += more.bytes_written;
  counts.files_committed += more.files_committed;
  counts.bytes_committed += more.bytes_committed;
  counts.files_in_place += more.files_in_place;
  counts.links_and_specials += more.links_and_specials;
  counts.folders += more.folders;
  counts.bytes_in_place += more.bytes_in_place;
}

void ConcatStreams::add(Totals& totals, const engine::Transfer& transfer) {
  if (const auto* origin = transfer.origin()) {
    totals.bytes_read += origin->counts().bytes_read;
    totals.origin_failures.add(origin->failures());
  }
  if (const auto* destination = transfer.destination()) totals.destination_failures.add(destination->failures());
  for (const auto& [to, link] : transfer.links()) totals.links.insert_or_assign(to, link);
}

engine::Destination::Counts ConcatStreams::counts() const {
  engine::Destination::Counts counts = counted_;
  for (const auto& stream : streams_) add(counts, *stream->transfer);
  return counts;
}

ConcatStreams::Totals ConcatStreams::totals() const {
  Totals totals = over_;
  for (const auto& stream : streams_) add(totals, *stream->transfer);
  return totals;
}

}  // namespace argosy::command
