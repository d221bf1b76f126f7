// What a Dealer makes of the words that come to it.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "command/fetch_dealer.h"
#include "http/name.h"

namespace argosy::command {

namespace {

using base::Kind;

// An origin that asks for more time than this is not waited for.
constexpr double kLongestWait = 600;

bool is_transient(int status) {
  return status == 408 || status == 425 || status == 429 || status == 500 || status == 502 || status == 503 ||
         status == 504;
}

std::string describe(int status) {
  constexpr std::array<std::pair<int, const char*>, 9> kWords = {{{401, " Unauthorized"},
                                                                  {403, " Forbidden"},
                                                                  {404, " Not Found"},
                                                                  {410, " Gone"},
                                                                  {429, " Too Many Requests"},
                                                                  {500, " Internal Server Error"},
                                                                  {502, " Bad Gateway"},
                                                                  {503, " Service Unavailable"},
                                                                  {504, " Gateway Timeout"}}};
  const auto* known =
      std::find_if(kWords.begin(), kWords.end(), [status](const auto& one) { return one.first == status; });
  return fmt::format("the origin answers {}{}", status, known == kWords.end() ? "" : known->second);
}

}  // namespace

Dealer::Object& Dealer::object_of(std::uint64_t entry) {
  if (index_of(entry) >= objects_.size()) {
    throw base::Error(Kind::kIntegrity, {}, 0, "a rank tells of an object that was never asked for");
  }
  return objects_[index_of(entry)];
}

void Dealer::take(int rank, const Word& word, double now) {
  std::visit([&](const auto& one) { take_word(rank, one, now); }, word);
}

void Dealer::take_word(int /*rank*/, const Standing& standing, double /*now*/) {
  const auto found = running_.find(standing.task);
  if (found == running_.end() || found->second.items.empty()) return;
  const Item& item = found->second.items.front();
  if (item.entry != standing.entry || item.first != standing.first) return;
  found->second.bytes = standing.bytes;
  Object& object = object_of(item.entry);
  if (standing.size >= 0 && item.entry == present(object) && !is_settled(object)) announce(object, standing.size);
}

// Its size counts in what is known of the whole job.
void Dealer::announce(Object& object, std::int64_t size) {
  if (object.announced < 0) {
    ++sizes_known_;
  } else {
    known_ -= object.announced;
  }
  object.announced = size;
  known_ += size;
}

void Dealer::take_word(int /*rank*/, const Begun& begun, double /*now*/) {
  Object& object = object_of(begun.entry);
  if (begun.entry != present(object) || is_settled(object)) return;
  object.heard = true;
  object.checksums = object.wanted.checksums.empty() ? begun.checksums : object.wanted.checksums;
}

void Dealer::take_word(int rank, const TaskEnd& end, double /*now*/) {
  const auto found = running_.find(end.task);
  if (found == running_.end() || found->second.rank != rank || !found->second.items.empty()) {
    throw base::Error(Kind::kIntegrity, {}, 0, "a rank has ended a task that it does not have");
  }
  const Running& running = found->second;
  seats_[static_cast<std::size_t>(rank)][static_cast<std::size_t>(running.seat)].busy = false;
  --busy_[static_cast<std::size_t>(rank)];
  budget_.ended(running.host);
  if (!counts_.empty()) {
    counts_[static_cast<std::size_t>(settings_.homes[static_cast<std::size_t>(rank)])] += end.messages;
  }
  running_.erase(found);
}

// Takes the item off its task; nothing where the rank has no such.
std::optional<Item> Dealer::ended(const Outcome& outcome, double now) {
  const auto found = running_.find(outcome.task);
  if (found == running_.end() || found->second.items.empty()) return std::nullopt;
  Running& running = found->second;
  Item item = std::move(running.items.front());
  running.items.pop_front();
  running.began = now;
  running.bytes = 0;
  if (item.entry != outcome.entry || item.first != outcome.first) return std::nullopt;
  if (outcome.got < 0 || (item.length > 0 && !outcome.whole && outcome.got > item.length)) return std::nullopt;
  return item;
}

void Dealer::count(const Object& object, const Outcome& outcome, double now) {
  for (const http::Hop& hop : outcome.hops) {
    OriginReport& ledger = ledger_[hop.host];
    ++ledger.requests;
    // An error's page is nobody's bytes.
    if (hop.status >= 200 && hop.status < 300) ledger.bytes += hop.bytes;
  }
  // A host that redirects has answered, and its target has not been asked yet.
  const std::string& host = outcome.hops.empty() ? place_of(object).host : outcome.hops.back().host;
  const bool busy = outcome.status == 429 || outcome.status == 503;
  const bool good = outcome.kind == Outcome::Kind::kDone || outcome.kind == Outcome::Kind::kNotModified ||
                    outcome.kind == Outcome::Kind::kElsewhere;
  if (good) {
    budget_.answered_well(host);
    constexpr std::int64_t kTelling = 256 * 1024;
    if (outcome.got >= kTelling && outcome.seconds > 0) {
      const double rate = static_cast<double>(outcome.got) / outcome.seconds;
      double& typical = typical_[host];
      typical = typical == 0 ? rate : 0.7 * typical + 0.3 * rate;
    }
  } else if (outcome.kind == Outcome::Kind::kStatus && busy) {
    ++ledger_[host].throttled;
    tell_pause(host, budget_.refused(host, outcome.wait, now));
  }
  // A good answer may say that the next would not be.
  if (good && outcome.wait && *outcome.wait <= kLongestWait) {
    budget_.pause(host, *outcome.wait, now);
    tell_pause(host, *outcome.wait);
  }
}

void Dealer::tell_pause(const std::string& host, double seconds) {
  for (std::size_t rank = 0; rank < seats_.size(); ++rank) {
    if (busy_[rank] > 0) tell(static_cast<int>(rank), Pause{host, seconds});
  }
}

void Dealer::take_word(int rank, const Outcome& outcome, double now) {
  Object& object = object_of(outcome.entry);
  const auto item = ended(outcome, now);
  if (!item) throw base::Error(Kind::kIntegrity, {}, 0, "a rank tells of a request that it was not given");
  count(object, outcome, now);
  object.response.seconds += outcome.seconds;
  object.rank = rank;
  if (outcome.entry != present(object) || is_settled(object)) return;
  --object.outstanding;
  if (settings_.mode == Mode::kOutput) {
    const auto reserved = object.reserved.find(item->first);
    if (reserved != object.reserved.end()) {
      const auto chunks = static_cast<int>((outcome.got + settings_.chunk_size - 1) / settings_.chunk_size);
      reserved->second.end = outcome.first + outcome.got;
      const int less = std::max(0, reserved->second.chunks - chunks);
      held_ -= less;
      reserved->second.chunks -= less;
    }
  }
  switch (outcome.kind) {
    case Outcome::Kind::kDone:
      return came(object, *item, outcome, rank);
    case Outcome::Kind::kNotModified:
      object.response.status = outcome.status;
      object.response.fields = outcome.fields;
      object.response.rank = rank;
      if (item->if_none_match.empty() || !object.existing) {
        return fail(object, Kind::kOrigin, "the origin answers 304 to what was no question");
      }
      return place(object, false);
    case Outcome::Kind::kElsewhere:
      return redirected(object, *item, outcome, now);
    case Outcome::Kind::kCut:
    case Outcome::Kind::kBroken: {
      const bool cut = outcome.kind == Outcome::Kind::kCut;
      if (outcome.whole || object.whole) {
        // What there is of it can't be gone on with.
        if (!cut) try_again(object, now, outcome.message);
        if (!is_settled(object) && outcome.entry == present(object)) begin_again(object);
        return;
      }
      const std::uint64_t entry = present(object);
      came(object, *item, outcome, rank);
      if (cut || is_settled(object) || present(object) != entry || object.state == State::kEnding) return;
      return try_again(object, now, outcome.message);
    }
    case Outcome::Kind::kStatus:
      return refused(object, *item, outcome, now);
    case Outcome::Kind::kNoRange:
      if (object.whole) return fail(object, Kind::kOrigin, outcome.message);
      object.whole = true;
      return begin_again(object);
    case Outcome::Kind::kChanged:
      if (asks_again(object)) return begin_again(object);
      return changed(object, now, outcome.message);
    case Outcome::Kind::kRefused:
      object.response.status = outcome.status;
      object.response.fields = outcome.fields;
      object.response.rank = rank;
      if (!next_mirror(object)) fail(object, Kind::kOrigin, outcome.message);
      return;
  }
}

// Bytes have come, all that were asked for or less.
void Dealer::came(Object& object, const Item& item, const Outcome& outcome, int rank) {
  const bool first = object.state == State::kWaiting;
  const std::size_t before = object.todo.size();
  const bool answered = outcome.status == 200 || outcome.status == 203 || outcome.status == 206;
  if (outcome.kind == Outcome::Kind::kDone && outcome.got == 0 && !outcome.whole && item.length > 0) {
    // Parts too small to be of use.
    object.whole = true;
    return begin_again(object);
  }
  if (first && answered) {
    if (!learn(object, outcome, rank)) return;
    object.state = State::kMoving;
    // What is gone on with is first asked for where some of it is missing.
    const std::int64_t begin = outcome.whole ? 0 : item.first;
    const std::int64_t end = begin + outcome.got;
    if (begin > 0) put_back(object, {0, begin, -1});
    if (end < object.size) put_back(object, {end, object.size - end, -1});
    if (!outcome.whole) tell_pin(object);
  } else if (outcome.got < item.length) {
    const int avoid = outcome.kind == Outcome::Kind::kCut ? rank : -1;
    put_back(object, {item.first + outcome.got, item.length - outcome.got, avoid});
  }
  if (outcome.got > 0) object.tries = 0;
  object.delivered += outcome.got;
  object.sum += outcome.digest;
  if (object.todo.size() > before && outcome.kind != Outcome::Kind::kBroken) queue(object, 0);
  end_if_whole(object);
}

// The first answer says what the object is. False where it has to begin again, or has failed.
bool Dealer::learn(Object& object, const Outcome& outcome, int rank) {
  object.pin = outcome.pin;
  object.size = outcome.whole ? outcome.got : outcome.pin.size;
  object.pin.size = object.size;
  object.response.status = outcome.whole ? 200 : outcome.status;
  object.response.fields = outcome.fields;
  object.response.rank = rank;
  // Ranges of an object that can't be told from its next version would be mixed with it unnoticed.
  if (!outcome.whole && (object.size < 0 || (!object.pin.is_strong() && object.size > outcome.got))) {
    object.whole = true;
    begin_again(object);
    return false;
  }
  if (object.wanted.size >= 0 && object.wanted.size != object.size) {
    const std::string why = fmt::format("is {} bytes long, and {} by the list", object.size, object.wanted.size);
    if (!next_mirror(object)) fail(object, Kind::kIntegrity, why);
    return false;
  }
  if (!settle_name(object, outcome.name)) return false;
  // What the user asked for is what counts: the origin must not put something else, however strong, in its place.
  object.checksums = object.wanted.checksums.empty() ? outcome.checksums : object.wanted.checksums;
  object.modified = outcome.modified;
  announce(object, object.size);
  return true;
}

// The object is on another host. What is asked for next is asked for there; a request that fails there asks here again.
void Dealer::redirected(Object& object, const Item& item, const Outcome& outcome, double now) {
  try {
    object.location = http::parse_url(outcome.location);
  } catch (const base::Error&) {
    return fail(object, Kind::kOrigin, "it redirects to what is no http or https address");
  }
  object.redirects = outcome.redirects;
  put_back(object, {item.first, item.length, -1});
  queue(object, now);
}

bool Dealer::settle_name(Object& object, const std::string& proposed) {
  if (settings_.mode != Mode::kFiles || !object.wanted.name.empty() || proposed.empty()) return true;
  object.proposed = http::safe_name(proposed);
  if (object.proposed == object.name) return true;
  return ask_for_name(object);
}

// The name that the origin proposes, where no other object has it, or another such; and the members are asked whether
// something of somebody else's stands there. False where the object has failed.
bool Dealer::ask_for_name(Object& object) {
  std::string name = object.proposed;
  for (int number = 1; settings_.rename && names_.contains(name); ++number) {
    name = http::numbered(object.proposed, number);
  }
  if (!names_.insert(name).second) {
    fail(object, Kind::kUsage,
         fmt::format("the origin calls it '{}', and so is another file called (--rename gives it a number)",
                     base::printable(name)));
    return false;
  }
  object.name = name;
  object.naming = true;
  Look look;
  look.id = next_look_++;
  look.first = index_of_object(object);
  look.proposed = true;
  look.sought.push_back({name, object.wanted.checksums, object.wanted.pieces});
  Looking& looking = looks_[look.id];
  looking.first = index_of_object(object);
  looking.count = 1;
  looking.proposed = present(object) + 1;
  send_to_members(look);
  return true;
}

// An origin may replace what came from the same address, and nothing else.
void Dealer::name_is_known(Object& object, const std::vector<Existing>& found) {
  object.naming = false;
  const std::string source = http::fingerprint(url(object));
  const bool foreign =
      std::any_of(found.begin(), found.end(), [&source](const Existing& one) { return one.source != source; });
  if (foreign && settings_.rename) {
    if (ask_for_name(object)) return;
  } else if (foreign) {
    fail(object, Kind::kDestination,
         fmt::format("the origin calls it '{}', and a file of that name is there that did not come from this address "
                     "(--rename gives it a number, a list can give it a name)",
                     base::printable(object.name)));
    return;
  }
  const bool there = !foreign && found.size() == settings_.members.size() && !object.pin.etag.empty() &&
                     std::all_of(found.begin(), found.end(), [&object](const Existing& one) {
                       return one.etag == object.pin.etag && one.size == object.size;
                     });
  if (!there) return end_if_whole(object);
  object.existing = found.front();
  place(object, false);
}

void Dealer::refused(Object& object, const Item& item, const Outcome& outcome, double now) {
  const int status = outcome.status;
  object.response.status = status;
  object.response.fields = outcome.fields;
  // Another object than what there is of it; also where it is shorter.
  if ((status == 412 || status == 416) && asks_again(object)) return begin_again(object);
  if (status == 412 && !object.pin.etag.empty()) return changed(object, now, "its ETag");
  if (status == 416 && item.length > 0) {
    // An empty object has no first byte; and a shorter one is another.
    if (object.state != State::kWaiting) return changed(object, now, "its size");
    object.whole = true;
    return begin_again(object);
  }
  put_back(object, {item.first, object.whole ? 0 : item.length, -1});
  // Where a redirect has led once there may be nothing any more, as an address that is good for some time only.
  const bool moved = !item.location.empty() && object.state != State::kWaiting;
  if (moved && !is_transient(status)) return try_again(object, now, describe(status));
  if (is_transient(status) && outcome.wait.value_or(0) <= kLongestWait) return try_again(object, now, describe(status));
  if (next_mirror(object)) return;
  fail(object, Kind::kOrigin,
       is_transient(status) ? fmt::format("{}, and asks to wait {:.0f} s", describe(status), *outcome.wait)
                            : describe(status));
}

}  // namespace argosy::command
