#include "engine/origin.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "base/activity.h"

namespace argosy::engine {

namespace {
constexpr std::size_t kFailedEntriesKept = 65'536;
}  // namespace

Origin::Origin(int me, const core::Route& route, Workers& workers, Pool& pool, Relay& relay, Control& control,
               core::Source& source, Settings settings)
    : me_(me),
      route_(route),
      walks_(route.root() == me),
      shared_(route.origins() > 1),
      workers_(workers),
      pool_(pool),
      relay_(relay),
      control_(control),
      source_(source),
      settings_(std::move(settings)),
      planner_(settings_.chunk_size),
      next_put_(next_own(0)) {}

std::uint64_t Origin::next_own(std::uint64_t chunk) const {
  while (route_.origin(chunk) != me_) ++chunk;
  return chunk;
}

bool Origin::step() {
  const bool walked = walk();
  const bool planned = plan();
  const bool put = put_ready();
  return walked || planned || put;
}

void Origin::stop() {
  if (stopped_) return;
  stopped_ = true;
  if (walks_ && !walked_) {
    walked_ = true;
    core::Page page;
    page.number = next_page_++;
    page.first = counts_.entries;
    page.last = true;
    control_.send_page(page);
  }
  // Other origins may have planned these files already: the numbering of the chunks stays, they only come empty.
  if (!shared_) {
    unanswered_.clear();
    planner_.clear();
  }
  // A file that was cut short can't end well; what is being read of it still comes in.
  std::vector<std::uint64_t> entries;
  for (auto& [entry, account] : accounts_) {
    account.planned = true;
    if (account.failure == base::Kind::kNone) account.failure = base::Kind::kDestination;
    entries.push_back(entry);
  }
  for (const std::uint64_t entry : entries) finish_if_read(entry);
}

bool Origin::walk() {
  if (!walks_ || walking_ || walked_ || unanswered_.size() >= kPagesAhead ||
      planner_.waiting() >= 2 * core::kEntriesAPage)
    return false;
  walking_ = true;
  auto listing = std::make_shared<core::Listing>();
  workers_.post(
      [this, listing] {
        try {
          *listing = source_.next_entries();
        } catch (const base::Error& error) {
          listing->failures.push_back(error.failure());
        }
      },
      [this, listing] { page_read(std::move(*listing)); });
  return true;
}

void Origin::page_read(core::Listing listing) {
  walking_ = false;
  failures_.add(listing.failures);
  if (stopped_) return;
  const auto page = std::make_shared<core::Page>();
  page->number = next_page_++;
  page->first = counts_.entries;
  page->last = listing.entries.empty();
  page->entries = std::move(listing.entries);
  counts_.entries += page->entries.size();
  walked_ = page->last;
  // The answer of a destination on this very rank may come before send_page returns.
  if (!page->last) unanswered_.emplace(page->number, page);
  control_.send_page(*page);
}

void Origin::page_arrived(const core::Page& page) {
  walked_ = page.last;
  if (page.last) return;
  counts_.entries += page.entries.size();
  source_.adopt(page);
  unanswered_.emplace(page.number, std::make_shared<const core::Page>(page));
}

void Origin::answered(core::Answer answer) {
  if (stopped_ && !shared_) return;
  const auto found = unanswered_.find(answer.page);
  if (found == unanswered_.end() || answer.wanted.size() != found->second->entries.size()) {
    throw base::Error(base::Kind::kIntegrity, {}, 0, "a manifest answer is about no page of ours");
  }
  answers_.push_back(std::move(answer));
  take_answers();
}

// What is held must end where a leaf does, or the file.
bool Origin::fits(const core::Part& part, std::int64_t size) {
  return part.range.end == size || (part.range.end < size && part.range.end % base::kLeafSize == 0);
}

// One after another: the others' plan goes by the order of the grants.
void Origin::take_answers() {
  while (!comparing_ && !answers_.empty()) {
    auto answer = std::make_shared<core::Answer>(std::move(answers_.front()));
    answers_.pop_front();
    if (!walks_ || stopped_ || answer->held.empty()) {
      decided(*answer);
      continue;
    }
    comparing_ = true;
    workers_.post([this, answer, page = unanswered_.at(answer->page)] { compare(*answer, *page); },
                  [this, answer] {
                    comparing_ = false;
                    decided(*answer);
                    take_answers();
                  });
  }
}

void Origin::decided(const core::Answer& answer) {
  if (stopped_ && !shared_) return;
  if (walks_ && shared_) control_.send_grant(answer);
  const std::shared_ptr<const core::Page> kept = std::move(unanswered_.extract(answer.page).mapped());
  const core::Page& page = *kept;
  std::vector<std::uint64_t> unwanted;
  auto held = answer.held.begin();
  for (std::size_t i = 0; i < page.entries.size(); ++i) {
    const core::Entry& entry = page.entries[i];
    static const core::Held kNone;
    const bool has_held = held != answer.held.end() && held->entry == i;
    const core::Held& told = has_held ? *held++ : kNone;
    if (settings_.only_ask && walks_ && answer.wanted[i]) settings_.only_ask(entry);
    if (!entry.readable()) continue;
    const std::uint64_t index = page.first + i;
    if (!answer.wanted[i] || settings_.only_ask) {
      unwanted.push_back(index);
      continue;
    }
    const bool sane = std::all_of(told.parts.begin(), told.parts.end(),
                                  [&](const core::Part& part) { return fits(part, entry.size); });
    const core::Held& here = sane ? told : kNone;
    const std::int64_t bytes = planner_.add(index, entry.size, entry.open_ended, here.ranges());
    if (!entry.open_ended && entry.size < settings_.chunk_size) continue;
    Account& account = accounts_[index];
    account.size = bytes;
    account.held = entry.size - bytes;
    for (const core::Part& part : here.parts) account.sum += part.digest;
  }
  close_unread(std::move(unwanted), true);
}

void Origin::close_unread(std::vector<std::uint64_t> entries, bool unwanted) {
  if (entries.empty()) return;
  ++closing_;
  workers_.post(
      [this, unwanted, entries = std::move(entries)] {
        for (const std::uint64_t entry : entries) {
          try {
            if (unwanted) {
              source_.skip(entry);
            } else {
              source_.close(entry);
            }
          } catch (const base::Error&) {
            // It is not read here: that it changed since is no failure, or another rank's to tell.
          }
        }
      },
      [this] { --closing_; });
}

void Origin::received(const core::Receipt& receipt) {
  // A hostile peer may say anything; what it says must not wrap.
  counts_.bytes_delivered += std::min(receipt.bytes, INT64_MAX - counts_.bytes_delivered);
  counts_.files_delivered += receipt.files;
  for (const std::uint64_t entry : receipt.failed) {
    // Once nobody can take it any more, the rest need not be read.
    if (++failed_at_[entry] == control_.destinations()) give_up(entry);
    // Of entries long past nothing is left to be read.
    if (failed_at_.size() > kFailedEntriesKept) failed_at_.erase(failed_at_.begin());
  }
  destinations_stopped_ += receipt.stopped;
  if (destinations_stopped_ == control_.destinations()) stop();
}

void Origin::give_up(std::uint64_t entry) {
  failed_at_.erase(entry);
  if (shared_) return;  // the others' plan has it all the same
  planner_.end(entry);
  const auto account = accounts_.find(entry);
  if (account == accounts_.end()) return;
  account->second.planned = true;
  if (account->second.failure == base::Kind::kNone) account->second.failure = base::Kind::kDestination;
  finish_if_read(entry);
}

bool Origin::plan() {
  bool any = false;
  while (planner_.waiting() > 0 && !reading_open_ended_) {
    const bool more = !walked_ || walking_ || !unanswered_.empty();
    if (route_.origin(next_plan_) != me_) {
      const std::vector<core::Extent> extents = planner_.next(more);
      if (extents.empty()) break;
      ++next_plan_;
      skip(extents);
      continue;
    }
    if (reading_ + ready_.size() >= settings_.ahead) break;
    const auto slot = pool_.acquire();
    if (!slot) break;
    Fill fill;
    fill.slot = *slot;
    fill.extents = planner_.next(more);
    if (fill.extents.empty()) {
      pool_.release(*slot);
      break;
    }
    any = true;
    const std::uint64_t chunk = next_plan_++;
    if (stopped_) {
      skip(fill.extents);
      ready_.emplace(chunk, std::move(fill));
      continue;
    }
    for (const core::Extent& extent : fill.extents) {
      if (!extent.small) ++accounts_[extent.entry].reading;
    }
    ++reading_;
    // Only one extent of an open-ended file at a time: it may be the last.
    reading_open_ended_ = fill.extents.front().open_ended;
    auto task = std::make_shared<Fill>(std::move(fill));
    workers_.post([this, task] { read_chunk(*task); }, [this, chunk, task] { chunk_read(chunk, std::move(*task)); });
  }
  return any;
}

void Origin::skip(const std::vector<core::Extent>& extents) {
  std::vector<std::uint64_t> small;
  for (const core::Extent& extent : extents) {
    if (extent.small) small.push_back(extent.entry);
    const auto account = accounts_.find(extent.entry);
    if (account == accounts_.end() || !extent.last) continue;
    account->second.planned = true;
    finish_if_read(extent.entry);
  }
  close_unread(std::move(small), false);
}

void Origin::passes(const core::ChunkView& view) {
  ++passed_;
  if (view.head.index >= next_plan_) unplanned_.insert(view.head.index);
  stream_bytes_ += view.head.payload;
  for (const core::Record& record : view.records) {
    const auto found = accounts_.find(record.entry);
    if (found == accounts_.end()) {
      // A small file's end, told by whoever has read it.
      if (walks_ && record.kind == core::Record::Kind::kEnd && record.failure == base::Kind::kNone) tell_ended(record);
      continue;
    }
    Account& account = found->second;
    if (record.kind == core::Record::Kind::kEnd) {
      account.ended = true;
    } else if (walks_) {
      account.sum += record.digest;
      account.bytes += record.length;
    }
    finish_if_read(record.entry);
  }
  // The root may need more rounds for the ends of files.
  if (!walks_ && route_.origin(view.head.index) == route_.root() && !view.head.last &&
      view.head.index + 1 >= may_fill_to_) {
    may_fill_to_ = route_.stream_length(route_.stream_length(view.head.index));
  }
}

void Origin::finish_if_read(std::uint64_t entry) {
  const auto found = accounts_.find(entry);
  if (found == accounts_.end() || found->second.reading > 0 || !found->second.planned) return;
  Account& open = found->second;
  const bool failed = open.failure != base::Kind::kNone;
  // The root looks last, once all the others' extents have passed.
  if (shared_ && walks_ && !failed && !open.ended && open.bytes < open.size) return;
  const Account account = open;
  accounts_.erase(found);
  core::Record end;
  end.kind = core::Record::Kind::kEnd;
  end.entry = entry;
  end.offset = account.held;
  end.length = account.bytes + account.held;
  end.failure = account.failure;
  end.digest = base::close_digest(account.sum, end.length);
  ++closing_;
  auto failure = std::make_shared<std::optional<base::Failure>>();
  workers_.post(
      [this, entry, failure] {
        try {
          source_.close(entry);
        } catch (const base::Error& error) {
          *failure = error.failure();
        }
      },
      [this, end, failure, ended = account.ended]() mutable {
        --closing_;
        if (ended) return;  // and told by the origin that failed
        if (*failure && end.failure == base::Kind::kNone) {
          failures_.add(**failure);
          end.failure = (*failure)->kind;
        }
        if (end.failure == base::Kind::kNone && !walks_) return;  // that it went well is the root's to say
        if (end.failure == base::Kind::kNone) tell_ended(end);
        ends_.push_back(end);
      });
}

void Origin::tell_ended(const core::Record& end) {
  counts_.digest = end.digest;
  if (walks_) source_.ended(end.entry, end.digest);
}

bool Origin::put_ready() {
  bool any = false;
  while (true) {
    const auto found = ready_.find(next_put_);
    if (found == ready_.end()) break;
    put(next_put_, std::move(ready_.extract(found).mapped()), false);
    any = true;
  }
  return put_end() || any;
}

// Ends of files wait for the next chunk; when no data comes any more they travel in chunks of their own. The root's
// last one ends the stream.
bool Origin::put_end() {
  if (last_put_ || !ready_.empty() || reading_ > 0) return false;
  const bool ended = all_planned() && next_put_ >= next_plan_ && settled();
  if (shared_) {
    if (!ended || !(walks_ ? all_passed() : may_fill())) return false;
  } else if (!ended && ends_.empty()) {
    return false;
  }
  const auto slot = pool_.acquire();
  if (!slot) return false;
  Fill fill;
  fill.slot = *slot;
  put(next_put_, std::move(fill), walks_ && ended && ends_.size() <= core::kRecordsAChunk);
  if (!shared_) next_plan_ = next_put_;
  return true;
}

// The root ends the stream in the round that begins behind the last data, or later, when it needs more room for ends.
bool Origin::may_fill() const {
  std::uint64_t roots = next_plan_;
  while (route_.origin(roots) != route_.root()) ++roots;
  return next_put_ < std::max(route_.stream_length(roots), may_fill_to_);
}

bool Origin::all_passed() {
  unplanned_.erase(unplanned_.begin(), unplanned_.lower_bound(next_plan_));
  return passed_ - unplanned_.size() == next_plan_;
}

void Origin::put(std::uint64_t chunk, Fill fill, bool last) {
  const std::size_t room = core::kRecordsAChunk - fill.records.size();
  const auto riding = static_cast<std::ptrdiff_t>(std::min(room, ends_.size()));
  fill.records.insert(fill.records.end(), ends_.begin(), ends_.begin() + riding);
  ends_.erase(ends_.begin(), ends_.begin() + riding);
  stream_bytes_ += fill.payload;
  core::Head head;
  head.index = chunk;
  head.payload = fill.payload;
  head.last = last;
  head.stream_bytes = last ? stream_bytes_ : 0;
  head.stream_entries = last ? counts_.entries : 0;
  const std::size_t bytes = core::seal_chunk(pool_.bytes(fill.slot), head, fill.records);
  last_put_ = last;
  if (chunk < next_plan_) ++passed_;
  next_put_ = next_own(chunk + 1);
  relay_.put(chunk, pool_, fill.slot, bytes, last);
  base::note_activity();
}

}  // namespace argosy::engine
