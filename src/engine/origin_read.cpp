// The origin's reading: what an I/O thread does for a chunk, and what comes of it on the main thread.
#include <algorithm>
#include <utility>

#include "base/activity.h"
#include "core/packed.h"
#include "engine/origin.h"

namespace argosy::engine {

std::size_t Origin::timed_read(std::uint64_t entry, std::int64_t offset, std::span<std::byte> into) const {
  const Timed timed(workers_.meter(), Work::kSource);
  return source_.read(entry, offset, into);
}

// A small file without holes is opened, read and closed in one visit.
bool Origin::read_whole(Fill& fill, const core::Extent& extent, core::Record& end) const {
  const auto length = static_cast<std::size_t>(extent.length);
  const auto into = core::payload_of(pool_.bytes(fill.slot), settings_.chunk_size).subspan(fill.payload, length);
  {
    const Timed timed(workers_.meter(), Work::kSource);
    if (!source_.read_whole(extent.entry, into)) return false;
  }
  core::Record part;
  part.entry = extent.entry;
  part.length = extent.length;
  part.digest = timed_digest(workers_.meter(), into, 0);
  fill.payload += static_cast<std::uint32_t>(length);
  fill.records.push_back(part);
  end.length = part.length;
  end.digest = base::close_digest(part.digest, part.length);
  fill.records.push_back(end);
  return true;
}

// A hole that goes on behind its extent is told by a few chunks, however long it is.
void Origin::look_ahead(Fill& fill, const core::Extent& extent) const {
  if (extent.rest == 0) return;
  const std::int64_t end = extent.offset + extent.length;
  const core::Region more = source_.region(extent.entry, end, extent.rest);
  if (more.hole) fill.hole_until = end + more.length;
}

// Reads one extent; `room` records are free for what lies between its holes.
void Origin::read_extent(Fill& fill, const core::Extent& extent, std::size_t room) const {
  const auto payload = core::payload_of(pool_.bytes(fill.slot), settings_.chunk_size);
  const std::uint32_t before = fill.payload;
  const std::size_t records = fill.records.size();
  core::Record end;
  end.kind = core::Record::Kind::kEnd;
  end.entry = extent.entry;
  try {
    if (extent.small && read_whole(fill, extent, end)) return;
    if (extent.hole) {
      // It was looked at when the part before it was read. That the file is still what it was is seen at its end.
      core::Record part;
      part.kind = core::Record::Kind::kHole;
      part.entry = extent.entry;
      part.offset = extent.offset;
      part.length = extent.length;
      part.digest = base::digest_of_zeros(part.offset, part.length);
      fill.records.push_back(part);
      return;
    }
    std::int64_t done = 0;
    // An empty file is read too: that tells whether it can be.
    bool first = true;
    while (done < extent.length || (first && extent.small)) {
      first = false;
      core::Record part;
      part.entry = extent.entry;
      part.offset = extent.offset + done;
      const std::int64_t left = extent.length - done;
      const bool ask = !extent.open_ended && left > 0 && fill.records.size() - records + 2 < room;
      const core::Region region = ask ? source_.region(extent.entry, part.offset, left) : core::Region{false, left};
      if (region.hole) {
        part.kind = core::Record::Kind::kHole;
        part.length = region.length;
        part.digest = base::digest_of_zeros(part.offset, part.length);
        done += region.length;
        if (done == extent.length) look_ahead(fill, extent);
      } else {
        const std::int64_t most = region.holes ? std::min(region.length, core::kPackedMost) : region.length;
        const auto into = payload.subspan(fill.payload, static_cast<std::size_t>(most));
        const std::size_t got = timed_read(extent.entry, part.offset, into);
        part.length = static_cast<std::int64_t>(got);
        part.digest = timed_digest(workers_.meter(), into.first(got), part.offset);
        if (const auto packed = region.holes ? core::pack(into) : std::nullopt) {
          part.kind = core::Record::Kind::kPacked;
          part.packed = static_cast<std::uint32_t>(*packed);
        }
        fill.payload += static_cast<std::uint32_t>(part.payload());
        fill.cut = fill.cut || (extent.open_ended && got < into.size());
        done += most;
      }
      end.length += part.length;
      end.digest += part.digest;
      fill.records.push_back(part);
    }
    if (!extent.small) return;
    source_.close(extent.entry);
    end.digest = base::close_digest(end.digest, end.length);
    fill.records.push_back(end);
  } catch (const base::Error& error) {
    // What was read of this extent stays behind.
    fill.payload = before;
    fill.records.resize(records);
    fill.failures.push_back(error.failure());
    fill.cut = true;
    if (!extent.small) return;
    try {
      source_.close(extent.entry);
    } catch (const base::Error&) {
      // The first failure has been told.
    }
    end.length = 0;
    end.digest = {};
    end.failure = error.failure().kind;
    fill.records.push_back(end);
  }
}

// Leaves of what the destinations hold only what the source has there, too: that they are of one size and time does not
// make two files the same. On an I/O thread.
void Origin::compare(core::Answer& answer, const core::Page& page) const {
  std::vector<std::byte> leaf(static_cast<std::size_t>(base::kLeafSize));
  const auto is_same = [&](const core::Entry& entry, std::uint64_t index, const core::Part& part) {
    const core::Range& range = part.range;
    // A smaller file moves as a whole.
    if (entry.size < settings_.chunk_size || !fits(part, entry.size)) return false;
    base::Digest sum;
    for (std::int64_t at = range.begin; at < range.end;) {
      if (stopped_) return false;
      const core::Region region = source_.region(index, at, range.end - at);
      if (region.hole) {
        const std::int64_t length = std::min(region.length, core::kLongestHole);
        sum += base::digest_of_zeros(at, length);
        at += length;
        base::note_activity();
        continue;
      }
      const auto into = std::span(leaf).first(static_cast<std::size_t>(std::min(base::kLeafSize, range.end - at)));
      timed_read(index, at, into);
      sum += timed_digest(workers_.meter(), into, at);
      at += base::kLeafSize;
      base::note_activity();
    }
    return sum == part.digest;
  };
  for (core::Held& held : answer.held) {
    const core::Entry& entry = page.entries[held.entry];
    try {
      std::erase_if(held.parts, [&](const core::Part& part) { return !is_same(entry, page.first + held.entry, part); });
    } catch (const base::Error&) {
      held.parts.clear();  // Reading it for the destinations will fail as well, and say why.
    }
  }
  std::erase_if(answer.held, [](const core::Held& held) { return held.parts.empty(); });
}

void Origin::read_chunk(Fill& fill) const {
  std::size_t left = fill.extents.size();
  for (const core::Extent& extent : fill.extents) {
    // Each extent after this one has room for its data and its end.
    --left;
    const std::size_t taken = fill.records.size() + 2 * left;
    read_extent(fill, extent, core::kRecordsAChunk - taken);
  }
  base::note_activity();
}

void Origin::chunk_read(std::uint64_t chunk, Fill fill) {
  --reading_;
  counts_.bytes_read += fill.payload;
  for (const core::Record& record : fill.records) {
    if (record.kind == core::Record::Kind::kEnd && record.failure == base::Kind::kNone) tell_ended(record);
  }
  const core::Extent& extent = fill.extents.front();
  reading_open_ended_ = reading_open_ended_ && !extent.open_ended;
  const auto found = accounts_.find(extent.entry);
  // A large file's first failure is told, not each extent's.
  if (found == accounts_.end() || found->second.failure == base::Kind::kNone) {
    failures_.add(fill.failures);
  }
  if (found != accounts_.end()) {
    Account& account = found->second;
    --account.reading;
    for (const core::Record& record : fill.records) {
      account.sum += record.digest;
      account.bytes += record.length;
    }
    if (account.failure == base::Kind::kNone && !fill.failures.empty()) account.failure = fill.failures.front().kind;
    // Where others plan the same chunks, the rest of a file that failed here keeps its place in the plan.
    const bool cut = fill.cut && !shared_;
    if (cut) planner_.end(extent.entry);
    // The others' plan does not know.
    if (!shared_ && fill.hole_until > 0) planner_.hole(extent.entry, fill.hole_until);
    account.planned = account.planned || cut || extent.last;
    finish_if_read(extent.entry);
  }
  ready_.emplace(chunk, std::move(fill));
}

}  // namespace argosy::engine
