#include "engine/relay.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/activity.h"
#include "base/bytes.h"
#include "base/digest.h"
#include "base/error.h"

namespace argosy::engine {

namespace {

// How many receives stand ready: one more than a sender keeps under way would only bind slots.
constexpr std::size_t kPostedAhead = 2;
constexpr std::size_t kPostedAheadLocal = 16;

constexpr std::size_t kReferenceBytes = 24;  // offset in the lender's memory, length, checksum
constexpr std::size_t kReleaseBytes = 8;     // the chunk

core::Tag tag_of(int lane) { return lane == 0 ? core::Tag::kChunk : core::Tag::kSecondLane; }

std::vector<std::byte> encode_reference(std::uint64_t offset, std::uint64_t length) {
  std::vector<std::byte> bytes;
  base::Writer writer(bytes);
  writer.put(offset);
  writer.put(length);
  writer.put(base::checksum_of(bytes));
  return bytes;
}

// What `reference` points at in `memory`; empty where it is damaged or leads out of it.
std::span<const std::byte> follow(std::span<const std::byte> reference, std::span<const std::byte> memory) {
  if (reference.size() != kReferenceBytes) return {};
  base::Reader reader(reference);
  const auto offset = reader.get<std::uint64_t>();
  const auto length = reader.get<std::uint64_t>();
  if (reader.get<std::uint64_t>() != base::checksum_of(reference.first(kReferenceBytes - 8))) return {};
  if (offset > memory.size() || length > memory.size() - offset) return {};
  return memory.subspan(offset, length);
}

}  // namespace

Relay::Relay(core::Transport& transport, const core::Route& route, std::vector<Pool>& pools, Settings settings,
             std::function<void(Arrival)> arrived)
    : transport_(transport),
      route_(route),
      pools_(pools),
      settings_(settings),
      arrived_(std::move(arrived)),
      me_(transport.rank()),
      takes_(route.is_destination(me_)),
      lanes_(static_cast<std::size_t>(route.lanes())),
      pacer_(settings_.bwlimit) {}

Relay::~Relay() {
  end_at(0);
  for (auto& [place, link] : links_) {
    if (link.release_receive) transport_.cancel(*link.release_receive);
  }
}

void Relay::put(std::uint64_t chunk, Pool& pool, std::size_t slot, std::size_t bytes, bool last) {
  const auto memory = pool.bytes(slot).first(bytes);
  auto message = std::make_shared<const Message>(chunk, memory, [&pool, slot] { pool.release(slot); });
  queue(message);
  if (last) end_at(route_.stream_length(chunk));
  if (!takes_) return;
  Arrival arrival;
  arrival.view = core::open_chunk(memory, arrival.why);
  arrival.message = std::move(message);
  arrival.own = true;
  arrived_(std::move(arrival));
}

void Relay::queue(const MessageUse& message) {
  const std::uint64_t chunk = message->chunk();
  const int lane = route_.lane(chunk);
  for (const int peer : route_.to(me_, chunk)) {
    Link& link = links_[{peer, lane}];
    link.peer = peer;
    link.lane = lane;
    link.local = is_local(peer);
    link.ready.emplace(chunk, message);
  }
}

bool Relay::step() {
  bool posted = false;
  for (int lane = 0; lane < route_.lanes(); ++lane) posted = post_receives(lane) || posted;
  return start_sends() || posted;
}

bool Relay::post_receives(int lane) {
  Lane& mine = lanes_[static_cast<std::size_t>(lane)];
  bool any = false;
  while (true) {
    const auto hop = route_.incoming(me_, lane, mine.nth);
    if (!hop || hop->chunk >= length_) return any;
    if (mine.posted.size() >= (is_local(hop->from) ? kPostedAheadLocal : kPostedAhead)) return any;
    if (!post_receive(lane, *hop)) return any;
    ++mine.nth;
    any = true;
  }
}

bool Relay::post_receive(int lane, core::Hop hop) {
  std::map<std::uint64_t, Posted>& all = lanes_[static_cast<std::size_t>(lane)].posted;
  Posted posted;
  if (is_local(hop.from)) {
    posted.reference.resize(kReferenceBytes);
    posted.ticket =
        transport_.receive(hop.from, tag_of(lane), posted.reference, [this, &all, lane, hop](int, std::size_t bytes) {
          const Posted done = std::move(all.extract(hop.chunk).mapped());
          reference_arrived(lane, hop, std::span(done.reference).first(bytes));
        });
  } else {
    Pool& pool = pools_[static_cast<std::size_t>(lane)];
    posted.slot = pool.acquire();
    if (!posted.slot) return false;
    const auto receive = [this, &all, &pool, hop](int, std::size_t bytes) {
      const std::size_t slot = *all.extract(hop.chunk).mapped().slot;
      deliver(hop.chunk, std::make_shared<const Message>(hop.chunk, pool.bytes(slot).first(bytes),
                                                         [&pool, slot] { pool.release(slot); }));
    };
    posted.ticket = transport_.receive(hop.from, tag_of(lane), pool.bytes(*posted.slot), receive);
  }
  all.emplace(hop.chunk, std::move(posted));
  return true;
}

void Relay::reference_arrived(int lane, core::Hop hop, std::span<const std::byte> reference) {
  // The chunk is known by the order of the receives, so that even a damaged reference gives the slot back.
  const std::span<const std::byte> lent = follow(reference, transport_.memory_of(hop.from));
  const auto give_back = [this, hop] { send_release(hop.from, hop.chunk); };
  Pool& pool = pools_[static_cast<std::size_t>(lane)];
  // A neighbour that falls behind must not hold all of the lender's slots: it copies as long as it has slots of its
  // own.
  const bool behind = held_ >= settings_.held_most;
  const auto slot = behind && !lent.empty() ? pool.acquire() : std::nullopt;
  if (slot) {
    const auto copy = pool.bytes(*slot).first(lent.size());
    std::memcpy(copy.data(), lent.data(), lent.size());
    give_back();
    return deliver(hop.chunk,
                   std::make_shared<const Message>(hop.chunk, copy, [&pool, slot = *slot] { pool.release(slot); }));
  }
  ++held_;
  deliver(hop.chunk, std::make_shared<const Message>(hop.chunk, lent, [this, give_back] {
            --held_;
            give_back();
          }));
}

void Relay::deliver(std::uint64_t chunk, MessageUse message) {
  base::note_activity();
  queue(message);
  Arrival arrival;
  arrival.view = core::open_chunk(message->bytes(), arrival.why);
  if (arrival.view && arrival.view->head.index != chunk) {
    arrival.why = "a chunk came out of its order";
    arrival.view.reset();
  }
  arrival.message = std::move(message);
  if (arrival.view && arrival.view->head.last) end_at(route_.stream_length(chunk));
  arrived_(std::move(arrival));
}

void Relay::end_at(std::uint64_t length) {
  length_ = length;
  for (std::size_t lane = 0; lane < lanes_.size(); ++lane) {
    auto& posted = lanes_[lane].posted;
    for (auto it = posted.lower_bound(length); it != posted.end(); it = posted.erase(it)) {
      transport_.cancel(it->second.ticket);
      if (it->second.slot) pools_[lane].release(*it->second.slot);
    }
  }
}

bool Relay::has_all() const {
  if (length_ == UINT64_MAX) return false;
  for (int lane = 0; lane < route_.lanes(); ++lane) {
    const Lane& mine = lanes_[static_cast<std::size_t>(lane)];
    const auto next = route_.incoming(me_, lane, mine.nth);
    if (!mine.posted.empty() || (next && next->chunk < length_)) return false;
  }
  return true;
}

void Relay::send_release(int to, std::uint64_t chunk) {
  auto bytes = std::make_shared<std::vector<std::byte>>();
  base::Writer(*bytes).put(chunk);
  transport_.send(to, core::Tag::kRelease, *bytes, [bytes] {});
}

void Relay::receive_release(Link& link) {
  link.release_buffer.resize(kReleaseBytes);
  const auto receive = [this, &link](int, std::size_t) {
    link.release_receive.reset();
    const auto chunk = base::Reader(link.release_buffer).get<std::uint64_t>();
    // Only what is lent can come back. Both lanes to a neighbour share the tag.
    bool known = false;
    for (auto& [place, other] : links_) known = known || (other.peer == link.peer && other.lent.erase(chunk) > 0);
    if (!known) throw base::Error(base::Kind::kIntegrity, {}, 0, "a neighbour gave back a slot that it did not have");
    base::note_activity();
    receive_release(link);
  };
  link.release_receive = transport_.receive(link.peer, core::Tag::kRelease, link.release_buffer, receive);
}

std::optional<std::uint64_t> Relay::next_for(Link& link) const {
  if (link.ready.empty()) return std::nullopt;
  // The peer takes the chunks of a lane in its order; those that others hand it are not ours to wait for.
  auto hop = route_.incoming(link.peer, link.lane, link.nth);
  while (hop && hop->from != me_) hop = route_.incoming(link.peer, link.lane, ++link.nth);
  if (!hop || !link.ready.contains(hop->chunk)) return std::nullopt;
  return hop->chunk;
}

bool Relay::start_sends() {
  bool any = false;
  while (true) {
    // The oldest chunk first, so that two children take turns.
    Link* best = nullptr;
    std::uint64_t chunk = 0;
    for (auto& [place, link] : links_) {
      const bool room = link.local ? static_cast<int>(link.lent.size()) < settings_.in_flight_local
                                   : in_flight_ < settings_.in_flight;
      const auto next = room ? next_for(link) : std::nullopt;
      if (!next || (best != nullptr && *next >= chunk)) continue;
      best = &link;
      chunk = *next;
    }
    if (best == nullptr) return any;
    const bool free = best->local && !settings_.limit_local;
    if (!free && !pacer_.may_send(best->ready.at(chunk)->bytes().size())) return any;
    start_send(*best, chunk);
    any = true;
  }
}

void Relay::start_send(Link& link, std::uint64_t chunk) {
  MessageUse message = std::move(link.ready.extract(chunk).mapped());
  ++link.nth;
  const auto bytes = message->bytes();
  if (!link.local) {
    ++in_flight_;
    ++link.in_flight;
    LinkMeter& meter = meters_[link.peer];
    const auto sent = std::chrono::steady_clock::now();
    transport_.send(link.peer, tag_of(link.lane), bytes, [this, &link, &meter, sent, message = std::move(message)] {
      --in_flight_;
      --link.in_flight;
      meter.taken(sent, std::chrono::steady_clock::now(), message->bytes().size());
      base::note_activity();
    });
    return;
  }
  // Where in this rank's own memory the message lies; a chunk borrowed from a third rank is not lent on.
  const auto offset = static_cast<std::uint64_t>(bytes.data() - transport_.memory_of(me_).data());
  auto reference = std::make_shared<std::vector<std::byte>>(encode_reference(offset, bytes.size()));
  transport_.send(link.peer, tag_of(link.lane), *reference, [reference] {});
  link.lent.emplace(chunk, std::move(message));
  if (!link.release_receive) receive_release(link);
}

bool Relay::idle() const {
  return in_flight_ == 0 && std::all_of(links_.begin(), links_.end(), [](const auto& link) {
           return link.second.ready.empty() && link.second.lent.empty();
         });
}

bool Relay::has_backlog() const {
  return std::any_of(links_.begin(), links_.end(),
                     [](const auto& link) { return !link.second.local && !link.second.ready.empty(); });
}

void Relay::add_busy(double seconds) {
  for (auto& [peer, meter] : meters_) {
    const bool busy = std::any_of(links_.begin(), links_.end(), [peer = peer](const auto& link) {
      return link.second.peer == peer && link.second.in_flight > 0;
    });
    if (busy) meter.add_busy(seconds);
  }
}

int Relay::waits_for() const {
  for (const auto& [place, link] : links_) {
    if (!link.lent.empty() || !link.ready.empty()) return link.peer;
  }
  return core::kNobody;
}

}  // namespace argosy::engine
