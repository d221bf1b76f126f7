#include "engine/relay.h"

#include <algorithm>
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

Relay::Relay(core::Transport& transport, const core::Route& route, Pool& pool, Settings settings,
             std::function<void(Arrival)> arrived)
    : transport_(transport),
      route_(route),
      pool_(pool),
      settings_(settings),
      arrived_(std::move(arrived)),
      me_(transport.rank()) {}

Relay::~Relay() { close(); }

void Relay::put(std::uint64_t chunk, std::size_t slot, std::size_t bytes) {
  auto message = std::make_shared<const Message>(chunk, pool_.bytes(slot).first(bytes), [this, slot] { pool_.release(slot); });
  for (const int peer : route_.to(me_, chunk)) link_to(peer).waiting.push_back(message);
}

bool Relay::step() {
  const bool posted = !closed_ && route_.receives(me_) && post_receives();
  return start_sends() || posted;
}

bool Relay::post_receives() {
  bool any = false;
  while (true) {
    const int from = route_.from(me_, next_receive_);
    if (from != core::kNobody) {
      if (posted_.size() >= (is_local(from) ? kPostedAheadLocal : kPostedAhead)) return any;
      if (!post_receive(from, next_receive_)) return any;
      any = true;
    }
    ++next_receive_;
  }
}

bool Relay::post_receive(int from, std::uint64_t chunk) {
  Posted posted;
  if (is_local(from)) {
    posted.reference.resize(kReferenceBytes);
    const auto buffer = std::span(posted.reference);
    posted.ticket = transport_.receive(from, core::Tag::kChunk, buffer, [this, chunk](int sender, std::size_t bytes) {
      const Posted done = std::move(posted_.extract(chunk).mapped());
      lend_arrived(chunk, sender, std::span(done.reference).first(bytes));
    });
  } else {
    posted.slot = pool_.acquire();
    if (!posted.slot) return false;
    const auto buffer = pool_.bytes(*posted.slot);
    posted.ticket = transport_.receive(from, core::Tag::kChunk, buffer, [this, chunk](int, std::size_t bytes) {
      const std::size_t slot = *posted_.extract(chunk).mapped().slot;
      deliver(chunk, std::make_shared<const Message>(chunk, pool_.bytes(slot).first(bytes),
                                                     [this, slot] { pool_.release(slot); }));
    });
  }
  posted_.emplace(chunk, std::move(posted));
  return true;
}

void Relay::lend_arrived(std::uint64_t chunk, int from, std::span<const std::byte> reference) {
  // The chunk is named by the order of the receives, so that even a damaged reference gives the slot back.
  deliver(chunk, std::make_shared<const Message>(chunk, follow(reference, transport_.memory_of(from)),
                                                 [this, chunk, from] { send_release(from, chunk); }));
}

void Relay::deliver(std::uint64_t chunk, MessageUse message) {
  base::note_activity();
  for (const int peer : route_.to(me_, chunk)) link_to(peer).waiting.push_back(message);
  Arrival arrival;
  arrival.view = core::open_chunk(message->bytes(), arrival.why);
  if (arrival.view && arrival.view->head.index != chunk) {
    arrival.why = "a chunk came out of its order";
    arrival.view.reset();
  }
  arrival.message = std::move(message);
  if (arrival.view && arrival.view->head.last) close();
  arrived_(std::move(arrival));
}

void Relay::send_release(int to, std::uint64_t chunk) {
  auto bytes = std::make_shared<std::vector<std::byte>>();
  base::Writer(*bytes).put(chunk);
  transport_.send(to, core::Tag::kRelease, *bytes, [bytes] {});
}

void Relay::receive_release(Link& link) {
  link.release_buffer.resize(kReleaseBytes);
  link.release_receive = transport_.receive(link.peer, core::Tag::kRelease, link.release_buffer, [this, &link](int, std::size_t) {
    link.release_receive.reset();
    const auto chunk = base::Reader(link.release_buffer).get<std::uint64_t>();
    // Only what is lent can come back; a number that no neighbour was given is no release.
    if (link.lent.erase(chunk) == 0) throw base::Error(base::Kind::kIntegrity, {}, 0, "a neighbour gave back a slot that it did not have");
    --link.in_flight;
    base::note_activity();
    if (!link.lent.empty()) receive_release(link);
  });
}

Relay::Link& Relay::link_to(int peer) {
  auto [place, is_new] = links_.try_emplace(peer);
  if (is_new) {
    place->second.peer = peer;
    place->second.local = is_local(peer);
  }
  return place->second;
}

bool Relay::may_send_now(std::size_t bytes) {
  if (settings_.bwlimit == 0) return true;
  const auto now = std::chrono::steady_clock::now();
  if (now < send_allowed_) return false;
  const std::chrono::duration<double> cost(static_cast<double>(bytes) / static_cast<double>(settings_.bwlimit));
  send_allowed_ = std::max(send_allowed_, now - std::chrono::milliseconds(1)) +
                  std::chrono::duration_cast<std::chrono::steady_clock::duration>(cost);
  return true;
}

bool Relay::start_sends() {
  bool any = false;
  for (auto& [peer, link] : links_) {
    const int most = link.local ? settings_.in_flight_local : settings_.in_flight;
    while (!link.waiting.empty() && link.in_flight < most && may_send_now(link.waiting.front()->bytes().size())) {
      start_send(link);
      any = true;
    }
  }
  return any;
}

void Relay::start_send(Link& link) {
  MessageUse message = std::move(link.waiting.front());
  link.waiting.pop_front();
  ++link.in_flight;
  if (!link.local) {
    const auto bytes = message->bytes();
    transport_.send(link.peer, core::Tag::kChunk, bytes, [&link, message = std::move(message)] {
      --link.in_flight;
      base::note_activity();
    });
    return;
  }
  const auto offset = static_cast<std::uint64_t>(message->bytes().data() - pool_.bytes(0).data());
  auto reference = std::make_shared<std::vector<std::byte>>(encode_reference(offset, message->bytes().size()));
  transport_.send(link.peer, core::Tag::kChunk, *reference, [reference] {});
  link.lent.emplace(message->chunk(), std::move(message));
  if (!link.release_receive) receive_release(link);
}

bool Relay::idle() const {
  return std::all_of(links_.begin(), links_.end(), [](const auto& link) {
    return link.second.waiting.empty() && link.second.in_flight == 0;
  });
}

void Relay::close() {
  closed_ = true;
  for (auto& [chunk, posted] : posted_) {
    transport_.cancel(posted.ticket);
    if (posted.slot) pool_.release(*posted.slot);
  }
  posted_.clear();
}

int Relay::waits_for() const {
  for (const auto& [peer, link] : links_) {
    if (link.in_flight > 0) return peer;
  }
  return core::kNobody;
}

}  // namespace argosy::engine
