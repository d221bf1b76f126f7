// The part of a FetchDestination that knows what was there before: files that are in place, and what an interrupted run
// has left.
#include <algorithm>
#include <memory>
#include <utility>

#include "base/digest.h"
#include "command/fetch_destination.h"

namespace argosy::command {

namespace {

using base::Kind;

// Names in orders come from rank 0; so many a job has at most.
constexpr std::uint64_t kMostNames = 1U << 28;

}  // namespace

void FetchDestination::look(const Look& look) {
  const std::uint64_t end = look.first + look.sought.size();
  if (end > kMostNames) throw base::Error(Kind::kIntegrity, {}, 0, "too many names");
  if (!look.proposed) {
    names_.resize(std::max<std::size_t>(names_.size(), end));
    std::transform(look.sought.begin(), look.sought.end(), names_.begin() + static_cast<std::ptrdiff_t>(look.first),
                   [](const Sought& one) { return one.name; });
  }
  ++tasks_;
  auto looked = std::make_shared<Looked>();
  looked->id = look.id;
  workers_.post(
      [this, look, looked] {
        if (!downloads_.has_anything()) return;
        for (std::size_t i = 0; i < look.sought.size(); ++i) {
          auto one = existing(look.first + i, look.sought[i]);
          if (one) looked->existing.push_back(std::move(*one));
          const auto begun = look.proposed ? std::nullopt : downloads_.begun(look.sought[i].name);
          if (begun) looked->unfinished.push_back({look.first + i, begun->key.size, begun->key.name, begun->gap});
        }
      },
      [this, looked] {
        --tasks_;
        for (const Unfinished& one : looked->unfinished) begun_.insert(one.index);
        say_(*looked);
      });
}

std::optional<Existing> FetchDestination::existing(std::uint64_t index, const Sought& sought) const {
  auto kept = downloads_.kept(sought.name);
  if (!kept) return std::nullopt;
  if (!kept->etag.empty()) {
    // However it came here, it is in place only if it is what is wanted.
    End end;
    end.size = kept->size;
    end.checksums = sought.checksums;
    end.pieces = sought.pieces;
    try {
      const auto read = [&](std::int64_t offset, std::span<std::byte> into) {
        return downloads_.read(*kept, sought.name, offset, into);
      };
      if (!unequal(end, read).empty()) kept->etag.clear();
    } catch (const base::Error&) {
      kept->etag.clear();
    }
  }
  return Existing{index, kept->size, kept->etag, kept->source};
}

// Until its journal is there nothing of it may be committed or taken away.
void FetchDestination::pinned(const Pinned& pinned) {
  const std::string name = guess(pinned.entry);
  if (discarded_.contains(pinned.entry)) {
    if (pinned.goes_on) say_(Held{pinned.entry, true, {}});
    return;
  }
  ++accounts_[pinned.entry].writing;
  ++tasks_;
  struct Found {
    Held held;
    std::string in_place;
    std::optional<base::Failure> failure;
  };
  auto found = std::make_shared<Found>();
  found->held.entry = pinned.entry;
  workers_.post(
      [this, pinned, name, found] {
        try {
          const auto kept = pinned.in_place.empty() ? std::nullopt : downloads_.kept(name);
          if (kept && kept->etag == pinned.in_place && kept->size == pinned.size) {
            found->in_place = kept->digest;
            found->held.lacks_nothing = true;
          } else {
            const file::Journal::Key key{pinned.key, pinned.size, {}};
            found->held.parts = downloads_.pin(pinned.entry, name, key, pinned.goes_on);
          }
        } catch (const base::Error& error) {
          found->failure = error.failure();
          found->held.lacks_nothing = true;
        }
      },
      [this, found, goes_on = pinned.goes_on] {
        --tasks_;
        const std::uint64_t entry = found->held.entry;
        Account& account = accounts_.at(entry);
        --account.writing;
        if (goes_on) say_(found->held);
        account.in_place = found->in_place;
        account.held = std::move(found->held.parts);
        if (found->failure) fail(entry, account, *found->failure);
        settle(entry);
      });
}

void FetchDestination::keep(const Keep& keep) {
  static_cast<void>(guess(keep.entry));
  const auto found = accounts_.find(keep.entry);
  if (found == accounts_.end() || found->second.failed || !found->second.in_place.empty()) return;
  Account& account = found->second;
  for (const core::Part& part : keep.parts) {
    const auto held = std::find(account.held.begin(), account.held.end(), part);
    if (held == account.held.end()) {
      throw base::Error(Kind::kIntegrity, {}, 0, "an order of rank 0 is to keep what is not there");
    }
    account.held.erase(held);
    account.written += part.range.end - part.range.begin;
    account.sum += part.digest;
    bytes_held_ += part.range.end - part.range.begin;
  }
  account.held.clear();
}

// What was in place before is so now, as long as it is what the others have got.
void FetchDestination::settle_in_place(std::uint64_t entry, Account& account) {
  const End& end = *account.end;
  if (account.in_place != base::to_string(end.digest) || end.name != guess(entry)) {
    fail(entry, account, {Kind::kIntegrity, end.name, -1, {}, 0, "what is in place is not what was fetched"});
    return settle(entry);
  }
  ++files_;
  discarded_.insert(entry);
  accounts_.erase(entry);
  say_(Receipt{entry, Kind::kNone, {}});
  take_away(entry, false);
}

void FetchDestination::discard(std::uint64_t entry, bool stays) {
  discarded_.insert(entry);
  const auto found = accounts_.find(entry);
  if (found == accounts_.end()) {
    if (has_begun(entry) && !stays) take_away(entry, stays);
    return;
  }
  found->second.failed = true;
  found->second.stays = stays;
  settle(entry);
}

// What has come of it, and what an interrupted run has begun.
void FetchDestination::take_away(std::uint64_t entry, bool stays) {
  ++tasks_;
  workers_.post(
      [this, entry, stays, begun = has_begun(entry), name = guess(entry)] {
        downloads_.discard(entry, stays);
        if (begun && !stays) downloads_.remove_begun(name);
      },
      [this] { --tasks_; });
}

}  // namespace argosy::command
