// How an object goes on, or ends: another try, a new beginning, another mirror, failure, its place.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "command/fetch_dealer.h"

namespace argosy::command {

namespace {

using base::Kind;

// After so many changes an object is asked for in one piece, after twice as many no more.
constexpr int kChangesInRanges = 2;

}  // namespace

void Dealer::try_again(Object& object, double now, const std::string& why) {
  const std::string host = place_of(object).host;
  // Where it redirects to now may do better.
  object.location.reset();
  object.redirects = 0;
  // Ranges that fail together, or while the object waits for its next try, are one failure.
  if (now >= object.not_before) ++object.tries;
  if (object.tries > settings_.retries) {
    if (next_mirror(object)) return;
    return fail(object, Kind::kOrigin, object.tries == 1 ? why : fmt::format("{} ({} tries)", why, object.tries));
  }
  ++ledger_[host].retries;
  object.not_before = std::max(now + budget_.backoff(object.tries), budget_.paused_until(host));
  queue(object, now);
}

void Dealer::changed(Object& object, double now, const std::string& why) {
  if (++object.changes > 2 * kChangesInRanges) {
    if (next_mirror(object)) return;
    return fail(object, Kind::kOrigin,
                fmt::format("changes while it is fetched: {} differs from answer to answer", why));
  }
  object.whole = object.whole || object.changes > kChangesInRanges;
  object.not_before = now + budget_.backoff(object.changes);
  begin_again(object);
}

// What has come of the present entry is of no use any more, or with `stays` only to the next run.
void Dealer::drop(Object& object, bool stays) {
  const std::uint64_t entry = present(object);
  send_to_members(Discard{entry, stays});
  for (auto& [id, running] : running_) {
    const bool at_it = !running.items.empty() && running.items.front().entry == entry;
    if (!at_it || running.cut) continue;
    running.cut = true;
    tell(running.rank, Cut{id});
  }
  object.outstanding = 0;
  release(object);
}

void Dealer::begin_again(Object& object) {
  if (object.begun) {
    return fail(object, Kind::kOrigin, "its body can't be gone on with, and part of it has been written out already");
  }
  if (object.attempt + 1 >= kTries) return fail(object, Kind::kOrigin, "is never twice the same");
  drop(object);
  ++object.attempt;
  object.state = State::kWaiting;
  object.location.reset();
  object.redirects = 0;
  object.naming = object.heard = false;
  if (object.name != object.plain) names_.erase(object.name);
  object.name = object.plain;
  object.pin = {};
  object.size = -1;
  object.goes_on = object.recovering = false;
  object.complete.clear();
  object.recovered = 0;
  object.held.reset();
  object.kept = 0;
  object.delivered = 0;
  object.sum = {};
  object.receipts = object.failed_members = 0;
  object.unequal.clear();
  object.todo = {{0, object.whole ? 0 : settings_.chunk_size, -1}};
  // Its time may not have come: queue() looks when it is dealt.
  if (object.not_before > 0) {
    if (settings_.mode != Mode::kOutput) waiting_.emplace(object.not_before, index_of_object(object));
  } else {
    queue(object, 0);
  }
}

// The next place that has the same object. False where there is none.
bool Dealer::next_mirror(Object& object) {
  if (object.begun || object.mirror + 1 >= object.urls.size() || object.attempt + 1 >= kTries) return false;
  ++object.mirror;
  object.whole = false;
  object.tries = object.changes = object.crawls = 0;
  object.not_before = 0;
  begin_again(object);
  return true;
}

void Dealer::fail(Object& object, Kind kind, const std::string& message) {
  failures_.push_back({kind, url(object).text, object.rank, {}, 0, message});
  object.response.error = message;
  // Where the origin does not even say whether it is the same object, what there is of it has not been touched.
  give_up(object, asks_again(object));
}

void Dealer::give_up(Object& object, bool stays) {
  if (is_settled(object)) return;
  drop(object, stays);
  object.state = State::kFailed;
  if (object.announced < 0) announce(object, 0);
  object.todo.clear();
  ++settled_;
  if (object.begun && !stopped_) leave_out_the_rest();
  advance();
}

// What comes behind half a body would be taken for the rest of it.
void Dealer::leave_out_the_rest() {
  for (std::size_t i = head_; i < objects_.size(); ++i) {
    Object& object = objects_[i];
    if (is_settled(object)) continue;
    object.response.error = "is left out, as the body before it breaks off half way";
    failures_.push_back({Kind::kOrigin, url(object).text, -1, {}, 0, object.response.error});
  }
  stop();
}

void Dealer::end_if_whole(Object& object) {
  if (object.naming || object.recovering) return;
  if (object.state != State::kMoving || !object.todo.empty() || object.outstanding > 0) return;
  if (object.delivered != object.size) {
    return fail(object, Kind::kIntegrity,
                fmt::format("{} bytes have come, and {} were announced", object.delivered, object.size));
  }
  object.state = State::kEnding;
  if (settings_.mode == Mode::kHeads) return place(object, true);
  End end;
  end.entry = present(object);
  end.name = object.name;
  end.size = object.size;
  end.digest = base::close_digest(object.sum, object.size);
  end.etag = object.pin.etag;
  end.source = http::fingerprint(url(object));
  end.modified = object.modified;
  end.checksums = object.checksums;
  end.pieces = object.wanted.pieces;
  send_to_members(end);
}

void Dealer::take_word(int /*rank*/, const Receipt& receipt, double /*now*/) {
  Object& object = object_of(receipt.entry);
  if (receipt.entry != present(object) || is_settled(object)) return;
  ++object.receipts;
  if (receipt.kind == Kind::kIntegrity) {
    object.unequal = receipt.message;
  } else if (receipt.kind != Kind::kNone) {
    ++object.failed_members;
  }
  if (object.failed_members == settings_.members.size()) {
    object.response.error = "can't be written";
    return give_up(object);
  }
  if (object.state != State::kEnding || object.receipts < settings_.members.size()) return;
  if (object.unequal.empty()) return place(object, true);
  // What an interrupted run has left may have been of another object.
  if (object.kept > 0) return begin_again(object);
  if (!next_mirror(object)) fail(object, Kind::kIntegrity, object.unequal);
}

void Dealer::place(Object& object, bool fetched) {
  if (!fetched) {
    drop(object);
    object.size = object.existing->size;
    announce(object, object.size);
    ++in_place_;
  } else {
    delivered_ += object.size - object.kept;
    resumed_ += object.kept;
    digest_ = base::close_digest(object.sum, object.size);
    object.response.digest = base::to_string(*digest_);
  }
  object.response.bytes = object.size;
  object.state = State::kDone;
  object.todo.clear();
  ++settled_;
  ++files_;
  bytes_ += object.size;
  release(object);
  advance();
}

void Dealer::release(Object& object) {
  for (const auto& [first, reservation] : object.reserved) held_ -= reservation.chunks;
  object.reserved.clear();
}

void Dealer::advance() {
  while (head_ < objects_.size() && is_settled(objects_[head_])) ++head_;
}

}  // namespace argosy::command
