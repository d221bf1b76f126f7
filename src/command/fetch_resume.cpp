// What the members have of the objects, as a Dealer takes it: what is in place, and what an interrupted run has begun.
//
// Members tell for which objects they have a journal, what that is about, and where its first gap is. The object's
// first request asks for that gap, and only if it is still the object that the journal is about (If-Match, If-Range;
// and its answer is compared, as not every origin looks at them). Then each member reads what its journal claims, and
// what all of them have is asked for no more. A member that has all of it in place lacks nothing. Of another object
// nothing is of use: it begins anew, as another entry, so that no byte of an old version can stand beside one of a new
// one.
#include <algorithm>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "command/fetch_dealer.h"
#include "file/download.h"
#include "file/journal.h"

namespace argosy::command {

namespace {

using base::Kind;

static_assert(kTries == file::kDownloads);

}  // namespace

void Dealer::take_word(int rank, const Looked& looked, double now) {
  const auto page = looks_.find(looked.id);
  if (page == looks_.end()) throw base::Error(Kind::kIntegrity, {}, 0, "a rank has looked where nobody asked it to");
  Looking& looking = page->second;
  const auto check = [&looking](std::uint64_t index) {
    if (index >= looking.first && index - looking.first < looking.count) return;
    throw base::Error(Kind::kIntegrity, {}, 0, "a rank has looked where nobody asked it to");
  };
  for (const Existing& one : looked.existing) {
    check(one.index);
    looking.found.push_back(one);
    looking.found_by.push_back(rank);
  }
  for (const Unfinished& one : looked.unfinished) {
    check(one.index);
    looking.unfinished.emplace_back(rank, one);
  }
  if (++looking.answers < settings_.members.size()) return;
  const Looking all = std::move(looking);
  looks_.erase(page);
  if (all.proposed > 0) {
    Object& object = objects_[all.first];
    if (all.proposed - 1 == present(object) && !is_settled(object)) name_is_known(object, all.found);
    return;
  }
  std::map<std::uint64_t, std::size_t> alike;
  for (const Existing& one : all.found) {
    std::optional<Existing>& existing = objects_[one.index].existing;
    if (!existing) existing = one;
    if (*existing == one && !one.etag.empty()) ++alike[one.index];
  }
  for (std::size_t i = all.first; i < all.first + all.count; ++i) {
    Object& object = objects_[i];
    // What only some have, or have otherwise, or is longer than it is to be, is not in place.
    const bool wrong_size = object.existing && object.wanted.size >= 0 && object.wanted.size != object.existing->size;
    if (alike[i] != settings_.members.size() || wrong_size) object.existing.reset();
  }
  look_for_unfinished(all);
  for (std::size_t i = all.first; i < all.first + all.count; ++i) {
    if (!is_settled(objects_[i])) queue(objects_[i], now);
  }
}

void Dealer::look_for_unfinished(const Looking& looking) {
  std::map<std::uint64_t, std::map<int, const Unfinished*>> by_index;
  for (const auto& [rank, one] : looking.unfinished) by_index[one.index][rank] = &one;
  for (const auto& [index, unfinished] : by_index) {
    Object& object = objects_[index];
    if (is_settled(object) || go_on(object, unfinished, looking)) continue;
    // What there is of it is taken away, and it gets a file of its own.
    object.complete.clear();
    send_to_members(Discard{present(object)});
    ++object.attempt;
  }
}

// True where each member has some of what `unfinished` is about, or all of it.
bool Dealer::go_on(Object& object, const std::map<int, const Unfinished*>& unfinished, const Looking& looking) {
  const Unfinished& one = *unfinished.begin()->second;
  // Places before the one that it came from had failed.
  const auto mirror = std::find_if(object.urls.begin(), object.urls.end(), [&one](const http::Url& place) {
    return one.key.starts_with(http::fingerprint(place) + '\n');
  });
  if (mirror == object.urls.end()) return false;
  const std::string source = http::fingerprint(*mirror);
  const auto pin = http::pin_from_text(std::string_view(one.key).substr(source.size() + 1), one.size);
  if (!pin || one.size < file::kJournalled) return false;
  if (object.wanted.size >= 0 && object.wanted.size != one.size) return false;
  core::Range gap = one.gap;
  for (const auto& [rank, its] : unfinished) {
    if (its->key != one.key || its->size != one.size) return false;
    if (its->gap.begin < gap.begin) gap = its->gap;
  }
  if (gap.begin < 0 || gap.begin > gap.end || gap.end > one.size) return false;
  for (std::size_t i = 0; i < looking.found.size(); ++i) {
    const Existing& there = looking.found[i];
    const bool is_it = there.index == one.index && there.source == source && there.size == one.size &&
                       !there.etag.empty() && there.etag == pin->etag;
    if (is_it && !unfinished.contains(looking.found_by[i])) object.complete.insert(looking.found_by[i]);
  }
  if (unfinished.size() + object.complete.size() != settings_.members.size()) return false;
  // Where nothing is missing its last leaf is asked for again, to know whether it is the same object.
  const std::int64_t first = std::min(gap.begin, one.size - 1) / base::kLeafSize * base::kLeafSize;
  const std::int64_t length = std::clamp(gap.end - first, std::int64_t{1}, settings_.chunk_size);
  object.goes_on = true;
  object.mirror = static_cast<std::size_t>(mirror - object.urls.begin());
  object.pin = *pin;
  object.todo = {{first, length, -1}};
  return true;
}

// What is noted of an object is noted of this version of it.
void Dealer::tell_pin(Object& object) {
  const std::string known = http::to_text(object.pin);
  if (settings_.mode != Mode::kFiles || object.size < file::kJournalled || known.empty()) return;
  // What is in place is so under the name that was looked at.
  object.recovering = object.goes_on && (object.complete.empty() || object.name == object.plain);
  Pinned pinned{present(object), object.size, http::fingerprint(url(object)) + '\n' + known, object.recovering, {}};
  for (const int member : settings_.members) {
    pinned.in_place = object.recovering && object.complete.contains(member) ? object.pin.etag : std::string();
    tell(member, pinned);
  }
}

void Dealer::take_word(int /*rank*/, const Held& held, double now) {
  Object& object = object_of(held.entry);
  if (held.entry != present(object) || is_settled(object) || !object.recovering) return;
  if (!held.lacks_nothing) object.held = object.held ? core::common(*object.held, held.parts) : held.parts;
  if (++object.recovered < settings_.members.size()) return;
  object.recovering = false;
  keep_held(object);
  if (!object.todo.empty()) queue(object, now);
  end_if_whole(object);
}

// Takes out of what is to be asked for what all members have.
void Dealer::keep_held(Object& object) {
  Keep keep;
  keep.entry = present(object);
  const std::vector<core::Part> none;
  for (const core::Part& part : object.held ? *object.held : none) {
    const auto& [begin, end] = part.range;
    const auto span = std::find_if(object.todo.begin(), object.todo.end(), [begin = begin, end = end](const Span& one) {
      return one.first <= begin && begin < end && end <= one.first + one.length;
    });
    // The members may have had some of it meanwhile.
    if (span == object.todo.end() || begin % base::kLeafSize != 0) continue;
    const Span whole = *span;
    object.todo.erase(span);
    if (begin > whole.first) put_back(object, {whole.first, begin - whole.first, -1});
    if (end < whole.first + whole.length) put_back(object, {end, whole.first + whole.length - end, -1});
    object.delivered += end - begin;
    object.kept += end - begin;
    object.sum += part.digest;
    keep.parts.push_back(part);
  }
  object.held.reset();
  if (!keep.parts.empty()) send_to_members(keep);
}

}  // namespace argosy::command
