#include "command/fetch_dealer.h"

#include <algorithm>
#include <numeric>
#include <tuple>
#include <utility>

#include "http/name.h"

namespace argosy::command {

namespace {

// First requests that one connection is given at once, so that small files are not held up by rank 0's answers.
constexpr std::size_t kMostItems = 32;
constexpr std::int64_t kLongestRangeChunks = 64;
constexpr std::int64_t kOutputRangeChunks = 4;
constexpr std::size_t kObjectsTried = 64;
constexpr std::size_t kPiecesALook = 100'000;  // a frame has its bound
// A range crawls when its connection has for so long been so many times slower than its host's usually are; and any
// request does that for long is slower than anything that is meant to be waited for.
constexpr double kCrawlSeconds = 5;
constexpr double kCrawlTimes = 6;
constexpr double kLongCrawlSeconds = 15;
constexpr double kLeastSpeed = 1000;  // bytes a second
constexpr int kMostCrawls = 3;

}  // namespace

Dealer::Dealer(std::vector<http::Wanted> wanted, const Settings& settings)
    : settings_(settings), budget_(settings.connections, settings.chance) {
  objects_.reserve(wanted.size());
  for (http::Wanted& one : wanted) {
    Object object;
    for (const std::string& text : one.urls) object.urls.push_back(http::parse_url(text));
    object.response.url = object.urls.front().text;
    if (settings_.mode == Mode::kFiles) {
      const std::string name = one.name.empty() ? http::safe_name(http::last_part(object.urls.front())) : one.name;
      object.name = name;
      for (int number = 1; settings_.rename && names_.contains(object.name); ++number) {
        object.name = http::numbered(name, number);
      }
      object.plain = object.name;
      if (!names_.insert(object.name).second) {
        throw base::Error(base::Kind::kUsage, object.urls.front().text, 0,
                          "a second file would be called '" + base::printable(object.name) +
                              "' (--rename gives it a number, a list can give it a name)");
      }
    }
    object.wanted = std::move(one);
    object.todo = {{0, settings_.chunk_size, -1}};
    objects_.push_back(std::move(object));
  }
  for (const int count : settings_.seats) seats_.emplace_back(static_cast<std::size_t>(std::max(1, count)));
  busy_.resize(seats_.size());
  counts_.resize(settings_.members.size());
  rates_.resize(seats_.size());
}

void Dealer::tell(int rank, Order order) { out_.push_back(Sent{rank, std::move(order)}); }

void Dealer::send_to_members(const Order& order) {
  for (const int member : settings_.members) tell(member, order);
}

// Asks the members what they have under the objects' names.
void Dealer::look() {
  looked_ = true;
  if (settings_.mode != Mode::kFiles) {
    for (Object& object : objects_) queue(object, 0);
    return;
  }
  for (std::size_t at = 0; at < objects_.size();) {
    Look look;
    look.id = next_look_++;
    look.first = at;
    std::size_t pieces = 0;
    for (; at < objects_.size() && look.sought.size() < kNamesALook && pieces < kPiecesALook; ++at) {
      const Object& object = objects_[at];
      pieces += object.wanted.pieces.checksums.size();
      look.sought.push_back({object.name, object.wanted.checksums, object.wanted.pieces});
    }
    Looking& looking = looks_[look.id];
    looking.first = look.first;
    looking.count = look.sought.size();
    send_to_members(look);
  }
}

void Dealer::queue(Object& object, double now) {
  if (settings_.mode == Mode::kOutput) return;  // its turn comes in order
  const std::size_t index = index_of_object(object);
  if (object.not_before > now) {
    waiting_.emplace(object.not_before, index);
  } else if (object.state == State::kWaiting) {
    ready_[place_of(object).host].push_back(index);
  } else {
    moving_.push_back(index);
  }
}

std::vector<Dealer::Sent> Dealer::deal(double now) {
  if (!looked_) look();
  while (!stopped_ && !waiting_.empty() && waiting_.begin()->first <= now) {
    const std::size_t index = waiting_.begin()->second;
    waiting_.erase(waiting_.begin());
    if (!is_settled(objects_[index])) queue(objects_[index], now);
  }
  if (!stopped_) {
    if (settings_.mode == Mode::kOutput) {
      while (deal_in_order(now)) continue;
      grant_head();
    } else {
      while (deal_ranges(now) || deal_first(now)) continue;
    }
    if (now - crawlers_sought_ >= 1) {
      crawlers_sought_ = now;
      give_crawlers_away(now);
    }
    share_rate();
  }
  return std::exchange(out_, {});
}

// A seat whose connection leads to the host already, or else one that may be opened: on the rank that has the fewest
// busy, so that all cards work.
std::optional<std::pair<int, int>> Dealer::free_seat(const std::string& host, int avoid) {
  const bool may_open = open_[host] < settings_.connections;
  std::optional<std::pair<int, int>> best;
  // Another rank than the one to be avoided; then a connection that is open; then the rank with the fewest busy.
  std::tuple<bool, bool, int> best_cost;
  for (std::size_t i = 0; i < seats_.size(); ++i) {
    const std::size_t rank = (next_rank_ + i) % seats_.size();
    if (busy_[rank] == static_cast<int>(seats_[rank].size())) continue;
    std::optional<int> fitting;
    bool fits = false;
    for (std::size_t seat = 0; seat < seats_[rank].size() && !fits; ++seat) {
      if (seats_[rank][seat].busy) continue;
      fits = seats_[rank][seat].host == host;
      // One that leads nowhere yet rather than another host's.
      const bool better = !fitting || seats_[rank][seat].host.empty();
      if (fits || (may_open && better)) fitting = static_cast<int>(seat);
    }
    if (!fitting) continue;
    const auto cost = std::make_tuple(static_cast<int>(rank) == avoid, !fits && !may_open, busy_[rank]);
    if (best && best_cost <= cost) continue;
    best = {static_cast<int>(rank), *fitting};
    best_cost = cost;
  }
  return best;
}

std::int64_t Dealer::range_length(const Object& object) const {
  std::int64_t left = 0;
  for (const Span& span : object.todo) left += span.length;
  std::int64_t most = kLongestRangeChunks;
  if (settings_.mode == Mode::kOutput) most = std::clamp<std::int64_t>(settings_.window / 8, 1, kOutputRangeChunks);
  const std::int64_t share = left / (2 * std::max(1, budget_.allowed(place_of(object).host)));
  std::int64_t chunks = std::clamp<std::int64_t>(share / settings_.chunk_size, 1, most);
  // At a low rate a range takes a second or so, and not minutes.
  if (settings_.rate > 0) chunks = std::clamp<std::int64_t>(settings_.rate / settings_.chunk_size, 1, chunks);
  return chunks * settings_.chunk_size;
}

// What is in place of the object that its present mirror has.
const Existing* Dealer::in_place(const Object& object) const {
  const bool same = object.existing && object.existing->source == http::fingerprint(url(object));
  return same ? &*object.existing : nullptr;
}

// In the order of their places: what is to be written out first is to be asked for first.
void Dealer::put_back(Object& object, Span span) {
  const auto behind =
      std::find_if(object.todo.begin(), object.todo.end(), [&span](const Span& one) { return one.first > span.first; });
  object.todo.insert(behind, span);
}

Item Dealer::take_span(Object& object, std::int64_t most) {
  Span& span = object.todo.front();
  Item item;
  item.entry = present(object);
  item.url = object.wanted.urls[object.mirror];
  if (object.location) item.location = object.location->text;
  item.redirects = object.redirects;
  item.first = span.first;
  item.length = object.whole ? 0 : std::min(span.length, most);
  item.pin = object.pin;
  if (object.goes_on) item.if_range = http::if_range_of(object.pin);
  const Existing* there = object.state == State::kWaiting && !object.goes_on ? in_place(object) : nullptr;
  if (there != nullptr) {
    item.if_none_match = there->etag;
    item.size_in_place = there->size;
  }
  if (item.length == 0 || item.length == span.length) {
    object.todo.pop_front();
  } else {
    span.first += item.length;
    span.length -= item.length;
  }
  ++object.outstanding;
  return item;
}

void Dealer::start(std::pair<int, int> place, std::vector<Item> items, double now) {
  const auto rank = static_cast<std::size_t>(place.first);
  Seat& seat = seats_[rank][static_cast<std::size_t>(place.second)];
  const std::string& host = place_of(object_of(items.front().entry)).host;
  if (seat.host != host) {
    if (!seat.host.empty()) --open_[seat.host];
    ++open_[host];
    seat.host = host;
  }
  seat.busy = true;
  ++busy_[rank];
  next_rank_ = (rank + 1) % seats_.size();
  Running running;
  running.rank = place.first;
  running.seat = place.second;
  running.host = host;
  running.began = now;
  running.items.assign(items.begin(), items.end());
  budget_.began(host);
  Task task;
  task.id = next_task_++;
  task.seat = place.second;
  task.host = host;
  task.waits = settings_.mode == Mode::kOutput;
  task.items = std::move(items);
  running_.emplace(task.id, std::move(running));
  tell(place.first, std::move(task));
}

bool Dealer::deal_ranges(double now) {
  for (std::size_t tried = 0; tried < kObjectsTried && !moving_.empty(); ++tried) {
    Object& object = objects_[moving_.front()];
    // One whose time has not come waits in waiting_, too; and one whose members are asked is queued when they answer.
    if (object.state != State::kMoving || object.todo.empty() || object.not_before > now || object.recovering) {
      moving_.pop_front();
      continue;
    }
    const std::string& host = place_of(object).host;
    const auto seat = budget_.host_is_free(host, now) ? free_seat(host, object.todo.front().avoid) : std::nullopt;
    if (!seat) {
      moving_.push_back(moving_.front());
      moving_.pop_front();
      continue;
    }
    start(*seat, {take_span(object, range_length(object))}, now);
    return true;
  }
  return false;
}

bool Dealer::deal_first(double now) {
  if (ready_.empty()) return false;
  auto at = ready_.upper_bound(last_host_);
  for (std::size_t tried = ready_.size(); tried > 0; --tried) {
    if (at == ready_.end()) at = ready_.begin();
    auto& [host, queue] = *at;
    const auto seat = budget_.host_is_free(host, now) ? free_seat(host, -1) : std::nullopt;
    if (!seat) {
      ++at;
      continue;
    }
    const std::size_t fair = queue.size() / (2 * static_cast<std::size_t>(budget_.allowed(host)));
    const std::size_t count = settings_.rate > 0 ? 1 : std::clamp<std::size_t>(fair, 1, kMostItems);
    std::vector<Item> items;
    while (items.size() < count && !queue.empty()) {
      Object& object = objects_[queue.front()];
      queue.pop_front();
      if (object.state == State::kWaiting && !object.todo.empty() && object.not_before <= now) {
        items.push_back(take_span(object, settings_.chunk_size));
      }
    }
    last_host_ = host;
    if (queue.empty()) ready_.erase(at);
    if (items.empty()) return !ready_.empty();
    start(*seat, std::move(items), now);
    return true;
  }
  return false;
}

// Each rank has its part of the rate by how many of its connections are at work.
void Dealer::share_rate() {
  const int busy = std::accumulate(busy_.begin(), busy_.end(), 0);
  if (settings_.rate == 0 || busy == 0) return;
  for (std::size_t rank = 0; rank < busy_.size(); ++rank) {
    if (busy_[rank] == 0) continue;
    const std::int64_t rate = std::max<std::int64_t>(1, settings_.rate * busy_[rank] / busy);
    if (std::exchange(rates_[rank], rate) != rate) tell(static_cast<int>(rank), Speed{rate});
  }
}

bool Dealer::waits(double now) const {
  if (!running_.empty() || done()) return false;
  return budget_.pauses(now) || !waiting_.empty() ||
         std::any_of(objects_.begin(), objects_.end(), [now](const Object& one) { return now < one.not_before; });
}

void Dealer::give_crawlers_away(double now) {
  for (auto& [id, running] : running_) {
    if (running.cut || running.items.empty()) continue;
    Object& object = object_of(running.items.front().entry);
    if (object.crawls >= kMostCrawls || !crawls(object, running, now)) continue;
    ++object.crawls;
    running.cut = true;
    tell(running.rank, Cut{id});
  }
}

bool Dealer::crawls(const Object& object, const Running& running, double now) const {
  const Item& item = running.items.front();
  const double elapsed = now - running.began;
  const double speed = static_cast<double>(running.bytes) / std::max(elapsed, 1e-3);
  const auto typical = typical_.find(running.host);
  const bool ranged = object.state == State::kMoving && item.length > 0;
  if (ranged && typical != typical_.end() && elapsed >= kCrawlSeconds &&
      item.length - running.bytes > base::kLeafSize && speed * kCrawlTimes < typical->second) {
    return true;
  }
  // A body of which some has been shown can't be begun again.
  const bool replaceable = ranged || !object.begun;
  return replaceable && settings_.rate == 0 && running.bytes > 0 && elapsed >= kLongCrawlSeconds && speed < kLeastSpeed;
}

void Dealer::set_members(std::vector<int> members, std::vector<int> homes) {
  settings_.members = std::move(members);
  settings_.homes = std::move(homes);
  counts_.assign(settings_.members.size(), 0);
}

void Dealer::stop() {
  if (stopped_) return;
  stopped_ = true;
  for (auto& [id, running] : running_) {
    if (!running.cut) tell(running.rank, Cut{id});
    running.cut = true;
  }
  for (Object& object : objects_) {
    // What is whole is committed; but behind a gap nothing is written out.
    const bool finishes = object.state == State::kEnding && settings_.mode != Mode::kOutput;
    if (!is_settled(object) && !finishes) give_up(object, true);
  }
}

bool Dealer::done() const { return settled_ == objects_.size() && running_.empty() && out_.empty(); }

std::int64_t Dealer::bytes_received() const {
  return std::accumulate(ledger_.begin(), ledger_.end(), std::int64_t{0},
                         [](std::int64_t sum, const auto& one) { return sum + one.second.bytes; });
}

std::vector<Response> Dealer::responses() const {
  std::vector<Response> all;
  for (const Object& object : objects_) all.push_back(object.response);
  return all;
}

std::vector<Placed> Dealer::placed() const {
  std::vector<Placed> all;
  for (const Object& object : objects_) {
    if (object.state == State::kDone) all.push_back({object.name, object.response.digest});
  }
  return all;
}

}  // namespace argosy::command
