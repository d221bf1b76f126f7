#include "command/recorded_source.h"

#include <algorithm>
#include <cerrno>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/interrupt.h"

namespace argosy::command {

core::Listing RecordedSource::next_entries() {
  core::Listing listing = source_.next_entries();
  for (const core::Entry& entry : listing.entries) {
    if (entry.readable()) {
      const std::lock_guard lock(mutex_);
      open_.emplace(listed_, entry);
    } else if (entry.exists()) {
      manifest_.add(entry, std::nullopt);
    }
    ++listed_;
  }
  manifest_.write_out();
  return listing;
}

void RecordedSource::close(std::uint64_t entry) {
  try {
    source_.close(entry);
  } catch (const base::Error&) {
    leave_out(entry);
    throw;
  }
}

bool RecordedSource::read_whole(std::uint64_t entry, std::span<std::byte> into) {
  try {
    return source_.read_whole(entry, into);
  } catch (const base::Error&) {
    leave_out(entry);
    throw;
  }
}

void RecordedSource::leave_out(std::uint64_t entry) {
  const std::lock_guard lock(mutex_);
  open_.erase(entry);
}

base::Digest RecordedSource::digest_of(std::uint64_t index, const core::Entry& entry) {
  base::Digest sum;
  std::vector<std::byte> leaf(static_cast<std::size_t>(std::min(entry.size, base::kLeafSize)));
  for (std::int64_t offset = 0; offset < entry.size; offset += base::kLeafSize) {
    if (base::interrupted() != 0) throw base::Error(base::Kind::kSource, entry.path, EINTR, "reading was interrupted");
    const auto part = std::span(leaf).first(static_cast<std::size_t>(std::min(base::kLeafSize, entry.size - offset)));
    source_.read(index, offset, part);
    sum += base::digest_of(part, offset);
  }
  return base::close_digest(sum, entry.size);
}

void RecordedSource::skip(std::uint64_t index) {
  std::optional<core::Entry> entry;
  {
    const std::lock_guard lock(mutex_);
    const auto found = open_.find(index);
    if (found != open_.end()) {
      entry = std::move(found->second);
      open_.erase(found);
    }
  }
  if (!entry || entry->open_ended) return source_.skip(index);
  std::optional<base::Failure> failure;
  base::Digest digest;
  try {
    digest = digest_of(index, *entry);
  } catch (const base::Error& error) {
    failure = error.failure();
  }
  try {
    source_.skip(index);
  } catch (const base::Error& error) {
    if (!failure) failure = error.failure();
  }
  if (!failure) return manifest_.add(*entry, digest);
  // Whoever skips does not ask how it went: for the transfer it is no failure.
  failure->message += "; it is in place, but not in the saved manifest";
  const std::lock_guard lock(mutex_);
  failures_.add(std::move(*failure));
}

void RecordedSource::ended(std::uint64_t index, const base::Digest& digest) {
  const std::lock_guard lock(mutex_);
  const auto found = open_.find(index);
  if (found == open_.end()) return;
  manifest_.add(found->second, digest);
  open_.erase(found);
}

base::Failures record_tree(const file::Named& named, const file::Selection& selection, SavedManifest& manifest) {
  file::Reader reader(std::vector{named}, nullptr, selection);
  base::Failures failures;
  reader.scan(false);
  RecordedSource recorded(reader, manifest);
  std::uint64_t listed = 0;
  while (true) {
    const core::Listing listing = recorded.next_entries();
    for (const base::Failure& failure : listing.failures) failures.add(failure);
    if (listing.entries.empty()) break;
    for (const core::Entry& entry : listing.entries) {
      if (entry.readable()) recorded.skip(listed);
      ++listed;
    }
  }
  failures.add(recorded.failures());
  return failures;
}

}  // namespace argosy::command
