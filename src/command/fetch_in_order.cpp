// Dealing for standard output: bodies in the order in which they were asked for, in bounded room.
#include <algorithm>
#include <utility>

#include "command/fetch_dealer.h"

namespace argosy::command {

// For standard output: what is to be written out next comes first, and finds a part of the window kept for it alone, so
// that what comes before its turn never takes the room that the output needs to go on. That holds for ranges of the
// same object, too: one that has broken off half way holds up all behind it.
bool Dealer::deal_in_order(double now) {
  const int reserve = std::max(1, settings_.window / 4);
  for (std::size_t i = head_; i < objects_.size(); ++i) {
    Object& object = objects_[i];
    if (is_settled(object) || object.todo.empty() || now < object.not_before) continue;
    const std::int64_t most = std::min(range_length(object), object.todo.front().length);
    const int chunks = object.whole ? 1 : static_cast<int>((most + settings_.chunk_size - 1) / settings_.chunk_size);
    const int limit = is_next(i) ? settings_.window : settings_.window - reserve;
    if (held_ + chunks > limit) return false;
    const std::string& host = place_of(object).host;
    const auto seat = budget_.host_is_free(host, now) ? free_seat(host, object.todo.front().avoid) : std::nullopt;
    if (!seat) continue;
    Item item = take_span(object, most);
    object.reserved[item.first] = {chunks, INT64_MAX};
    held_ += chunks;
    start(*seat, {std::move(item)}, now);
    return true;
  }
  return false;
}

// All that lies before the object's next range is there, or on its way to be written out.
bool Dealer::is_next(std::size_t index) const {
  if (index != head_) return false;
  const Object& object = objects_[index];
  const std::int64_t first = object.todo.front().first;
  return std::none_of(object.reserved.begin(), object.reserved.end(),
                      [first](const auto& one) { return one.first < first && one.second.end == INT64_MAX; });
}

// A body without a known end may send all it has once its turn has come.
void Dealer::grant_head() {
  const auto entry = head();
  if (!entry) return;
  for (auto& [id, running] : running_) {
    if (running.granted || running.items.empty() || running.items.front().entry != *entry) continue;
    running.granted = true;
    tell(running.rank, Grant{*entry});
  }
}

std::optional<std::uint64_t> Dealer::head() const {
  if (settings_.mode != Mode::kOutput || head_ >= objects_.size()) return std::nullopt;
  return present(objects_[head_]);
}

bool Dealer::head_is_checked() const {
  const Object& object = objects_[head_];
  return !object.wanted.checksums.empty() || !object.checksums.empty() || object.wanted.pieces.length > 0;
}

void Dealer::written(std::uint64_t entry, std::int64_t bytes, bool shown) {
  Object& object = object_of(entry);
  if (entry != present(object)) return;
  object.begun = object.begun || shown;
  for (auto it = object.reserved.begin(); it != object.reserved.end();) {
    if (it->second.end > bytes) {
      ++it;
      continue;
    }
    held_ -= it->second.chunks;
    it = object.reserved.erase(it);
  }
}

}  // namespace argosy::command
