#include "file/tree_pack.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

#include "base/activity.h"
#include "base/bytes.h"
#include "file/metadata.h"

namespace argosy::file {

core::Entry folder_stream(const std::string& path, const std::string& name) {
  struct stat status = {};
  if (stat(path.c_str(), &status) != 0) throw base::system_error(base::Kind::kSource, path, errno, "can't be read");
  core::Entry entry;
  entry.path = name;
  entry.open_ended = true;
  entry.mode = status.st_mode & 07777U;
  entry.uid = status.st_uid;
  entry.gid = status.st_gid;
  entry.mtime = timestamp(status.st_mtim);
  return entry;
}

TreePack::TreePack(core::Source& source, bool digests) : source_(source), digests_(digests) {
  base::Writer writer(ready_);
  writer.put(kPackMagic);
  writer.put(kPackVersion);
}

std::size_t TreePack::read(std::uint64_t /*entry*/, std::int64_t /*offset*/, std::span<std::byte> into) {
  std::size_t done = 0;
  while (done < into.size()) {
    if (taken_ == ready_.size()) {
      ready_.clear();
      taken_ = 0;
      if (!next()) break;
    }
    const std::size_t count = std::min(into.size() - done, ready_.size() - taken_);
    std::memcpy(into.data() + done, ready_.data() + taken_, count);
    done += count;
    taken_ += count;
  }
  base::note_activity();
  return done;
}

std::optional<core::TreeSignature> TreePack::signature() const {
  return ended_ && whole_ ? signer_.finish() : std::nullopt;
}

// Makes the bytes that come next; false at the end.
bool TreePack::next() {
  if (ended_) return false;
  if (files_.empty()) {
    put_page();
  } else {
    put_part();
  }
  return true;
}

void TreePack::put_page() {
  core::Listing listing = source_.next_entries();
  whole_ = whole_ && listing.failures.empty();
  failures_.add(std::move(listing.failures));
  core::Page page;
  page.number = page_++;
  page.first = listed_;
  page.last = listing.entries.empty();
  page.entries = std::move(listing.entries);
  for (const core::Entry& entry : page.entries) {
    if (entry.readable()) files_.push_back({listed_, entry.size});
    signer_.add(entry);
    ++listed_;
  }
  const std::vector<std::byte> bytes = core::encode_page(page);
  base::Writer(ready_).put(static_cast<std::uint32_t>(bytes.size()));
  ready_.insert(ready_.end(), bytes.begin(), bytes.end());
  ended_ = page.last;
}

void TreePack::put_head(PackPart part, std::int64_t length) {
  base::Writer writer(ready_);
  writer.put(static_cast<std::uint8_t>(part));
  writer.put(length);
}

void TreePack::put_part() {
  const File& file = files_.front();
  try {
    if (at_ == file.size) return end_file(true);
    const core::Region region = source_.region(file.index, at_, file.size - at_);
    const std::int64_t length = region.hole ? region.length : std::min(region.length, kPackPartMost);
    put_head(region.hole ? PackPart::kHole : PackPart::kData, length);
    if (!region.hole) {
      ready_.resize(kPackPartBytes + static_cast<std::size_t>(length));
      source_.read(file.index, at_, std::span(ready_).subspan(kPackPartBytes));
    }
    if (digests_) {
      sum_ += region.hole ? base::digest_of_zeros(at_, length)
                          : base::digest_of(std::span(ready_).subspan(kPackPartBytes), at_);
    }
    at_ += length;
  } catch (const base::Error& error) {
    failures_.add(error.failure());
    ready_.clear();
    end_file(false);
  }
}

void TreePack::end_file(bool whole) {
  const File file = files_.front();
  files_.pop_front();
  at_ = 0;
  const base::Digest sum = std::exchange(sum_, base::Digest());
  try {
    source_.close(file.index);
  } catch (const base::Error& error) {
    // That it changed, or what has been told already.
    if (whole) failures_.add(error.failure());
    whole = false;
  }
  if (whole && digests_) source_.ended(file.index, base::close_digest(sum, file.size));
  whole_ = whole_ && whole;
  put_head(whole ? PackPart::kEnd : PackPart::kFailed, file.size);
}

}  // namespace argosy::file
