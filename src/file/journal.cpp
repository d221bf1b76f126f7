#include "file/journal.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <iterator>
#include <map>
#include <span>
#include <utility>

#include "base/activity.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/interrupt.h"
#include "file/disk.h"
#include "file/folders.h"
#include "file/holes.h"
#include "file/temporary.h"

namespace argosy::file {

namespace {

using base::Kind;

constexpr std::uint32_t kMagic = 0x4A475241;  // "ARGJ"
constexpr std::uint32_t kVersion = 1;
constexpr std::size_t kLongestName = 255;
// What a record is. The values are written.
constexpr std::uint64_t kWritten = 0;
constexpr std::uint64_t kDurable = 1;
constexpr std::uint64_t kBoot = 2;
constexpr std::size_t kLongestBoot = 64;
constexpr std::chrono::milliseconds kSyncPause(500);

base::Error failure(const std::string& shown) {
  return base::system_error(Kind::kDestination, shown, errno, "its journal can't be written");
}

void append_all(int fd, std::span<const std::byte> bytes, const std::string& shown) {
  // One write: a record is there as a whole or, after a crash, cut off and then ignored.
  ssize_t put = -1;
  do {
    put = write(fd, bytes.data(), bytes.size());
  } while (put < 0 && errno == EINTR);
  if (put != static_cast<ssize_t>(bytes.size())) {
    if (put >= 0) errno = ENOSPC;
    throw failure(shown);
  }
}

// It could be opened another time: that says nothing of the file.
bool is_shortage(int error_number) {
  return error_number == EMFILE || error_number == ENFILE || error_number == ENOMEM;
}

// A file that nobody else can write, by another name or a descriptor that is open: what this user's run has left.
bool is_ours(int fd, struct stat& status) {
  return fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_uid == geteuid() && status.st_nlink == 1 &&
         (status.st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

// What a record tells of, cut at multiples of `most`; nothing where the file reads otherwise. Throws when interrupted.
std::optional<std::vector<core::Part>> read_parts(int fd, const Journal::Record& record, std::int64_t most,
                                                  const std::string& shown) {
  std::vector<core::Part> parts;
  std::vector<std::byte> leaf(static_cast<std::size_t>(base::kLeafSize));
  base::Digest sum;
  Holes holes(fd);
  std::int64_t length = 0;
  for (std::int64_t at = record.range.begin; at < record.range.end; at += length) {
    if (base::interrupted() != 0) throw base::Error(Kind::kDestination, shown, EINTR, "reading was interrupted");
    length = holes.at(at, std::min(record.range.end, (at / most + 1) * most) - at);
    base::Digest digest;
    if (length > 0) {
      digest = base::digest_of_zeros(at, length);
    } else {
      length = std::min(base::kLeafSize, record.range.end - at);
      const auto bytes = std::span(leaf).first(static_cast<std::size_t>(length));
      if (read_up_to(fd, at, bytes) != length) return std::nullopt;
      digest = base::digest_of(bytes, at);
    }
    sum += digest;
    if (parts.empty() || at % most == 0) {
      parts.push_back({{at, at + length}, digest});
    } else {
      parts.back().range.end += length;
      parts.back().digest += digest;
    }
    base::note_activity();
  }
  if (sum != record.digest) return std::nullopt;
  return parts;
}

// Parts by where they begin; those that touch are one up to a multiple of `most`.
void join(std::map<std::int64_t, core::Part>& parts, core::Part part, std::int64_t most) {
  const auto after = parts.find(part.range.end);
  if (after != parts.end() && part.range.end % most != 0) {
    part.range.end = after->second.range.end;
    part.digest += after->second.digest;
    parts.erase(after);
  }
  const auto next = parts.lower_bound(part.range.begin);
  if (next != parts.begin() && part.range.begin % most != 0) {
    core::Part& before = std::prev(next)->second;
    if (before.range.end == part.range.begin) {
      before.range.end = part.range.end;
      before.digest += part.digest;
      return;
    }
  }
  parts.emplace(part.range.begin, part);
}

// Goes through a journal's records as long as they make sense, and keeps of what they tell what is there.
void read_records(Recovered& found, std::int64_t part_bytes, const core::Entry& entry, const std::string& shown) {
  const base::Digest this_boot = Journal::boot_record(boot_id()).digest;
  const std::int64_t most = core::part_size(entry.size);
  core::Ranges known;
  std::map<std::int64_t, core::Part> parts;
  std::vector<std::byte> block(Journal::kRecordBytes * 1024);
  while (true) {
    const std::int64_t got = read_up_to(found.journal.get(), found.bytes, block);
    for (std::size_t at = 0; at + Journal::kRecordBytes <= block.size(); at += Journal::kRecordBytes) {
      const auto bytes = std::span(block).subspan(at, Journal::kRecordBytes);
      const bool has_come = static_cast<std::int64_t>(at + Journal::kRecordBytes) <= got;
      const auto record = has_come ? Journal::decode(bytes, found.head, entry.size) : std::nullopt;
      if (!record) {
        for (const auto& [begin, part] : parts) found.parts.push_back(part);
        return;
      }
      found.bytes += static_cast<std::int64_t>(Journal::kRecordBytes);
      if (record->is_boot()) {
        found.same_boot = !boot_id().empty() && record->digest == this_boot;
        continue;
      }
      const bool counts = found.same_boot || record->durable;
      if (!counts || record->range.end > part_bytes || known.meets(record->range)) continue;
      if (parts.size() >= core::kPartsAnAnswer) continue;  // scattered like no run's: the rest is written again
      const auto there = read_parts(found.part.get(), *record, most, shown);
      if (!there) continue;
      known.add(record->range);
      for (const core::Part& part : *there) join(parts, part, most);
    }
  }
}

}  // namespace

const std::string& boot_id() {
  static const std::string kBoot = [] {
    const base::Fd fd(open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC));
    std::string text(kLongestBoot, '\0');
    const ssize_t got = fd.valid() ? read(fd.get(), text.data(), text.size()) : 0;
    text.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
    return text.substr(0, text.find('\n'));
  }();
  return kBoot;
}

std::vector<std::byte> Journal::encode_head(const core::Entry& entry, std::string_view boot, std::uint64_t inode) {
  std::vector<std::byte> bytes;
  base::Writer writer(bytes);
  writer.put(kMagic);
  writer.put(kVersion);
  writer.put_string(boot);
  writer.put_string(name_of(entry.path));
  writer.put(entry.size);
  writer.put(entry.mtime.seconds);
  writer.put(entry.mtime.nanoseconds);
  writer.put(inode);
  writer.put(base::checksum_of(bytes));
  return bytes;
}

std::vector<std::byte> Journal::encode(const Record& record, std::uint64_t head) {
  std::vector<std::byte> bytes;
  base::Writer writer(bytes);
  writer.put(record.range.begin);
  writer.put(record.range.end);
  writer.put(record.digest.low);
  writer.put(record.digest.high);
  writer.put(record.is_boot() ? kBoot : record.durable ? kDurable : kWritten);
  // With the head's, so that a record of another journal is none of this one's.
  std::vector<std::byte> covered = bytes;
  base::Writer(covered).put(head);
  writer.put(base::checksum_of(covered));
  return bytes;
}

Journal::Record Journal::boot_record(std::string_view boot) {
  return {{0, 0}, base::digest_of(std::as_bytes(std::span(boot)), 0), false};
}

std::optional<Journal::Head> Journal::decode_head(std::span<const std::byte> bytes, const core::Entry& entry,
                                                  std::string_view boot) {
  base::Reader reader(bytes);
  if (reader.get<std::uint32_t>() != kMagic || reader.get<std::uint32_t>() != kVersion) return std::nullopt;
  const std::string its_boot = reader.get_string(kLongestBoot);
  const std::string name = reader.get_string(kLongestName);
  const auto size = reader.get<std::int64_t>();
  core::Timestamp mtime;
  mtime.seconds = reader.get<std::int64_t>();
  mtime.nanoseconds = reader.get<std::int32_t>();
  Head head;
  head.inode = reader.get<std::uint64_t>();
  const std::size_t covered = bytes.size() - reader.left();
  head.checksum = reader.get<std::uint64_t>();
  if (!reader.ok() || head.checksum != base::checksum_of(bytes.first(covered)) || name != name_of(entry.path))
    return std::nullopt;
  head.same_source = size == entry.size && mtime == entry.mtime;
  head.same_boot = !boot.empty() && its_boot == boot;
  head.bytes = bytes.size() - reader.left();
  return head;
}

std::optional<Journal::Record> Journal::decode(std::span<const std::byte> bytes, std::uint64_t head,
                                               std::int64_t size) {
  base::Reader reader(bytes);
  Record record;
  record.range.begin = reader.get<std::int64_t>();
  record.range.end = reader.get<std::int64_t>();
  record.digest.low = reader.get<std::uint64_t>();
  record.digest.high = reader.get<std::uint64_t>();
  const auto mark = reader.get<std::uint64_t>();
  record.durable = mark == kDurable;
  const auto checksum = reader.get<std::uint64_t>();
  if (!reader.ok()) return std::nullopt;
  const bool is_boot = mark == kBoot && record.range.begin == 0 && record.range.end == 0;
  const bool is_part = mark <= kDurable && record.range.begin >= 0 && record.range.begin < record.range.end &&
                       record.range.end <= size && record.range.begin % base::kLeafSize == 0 &&
                       (record.range.end % base::kLeafSize == 0 || record.range.end == size);
  if (!is_boot && !is_part) return std::nullopt;
  const std::vector<std::byte> again = encode(record, head);
  if (base::Reader(std::span(again).last(8)).get<std::uint64_t>() != checksum) return std::nullopt;
  return record;
}

Journal::Journal(int folder, const std::string& name, const core::Entry& entry, int part, bool durable,
                 std::string shown)
    : shown_(std::move(shown)), part_(part), durable_(durable), synced_(std::chrono::steady_clock::now()) {
  struct stat status = {};
  if (fstat(part, &status) != 0) throw failure(shown_);
  if (unlinkat(folder, name.c_str(), 0) != 0 && errno != ENOENT) throw failure(shown_);
  fd_ = base::Fd(openat(folder, name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!fd_.valid()) throw failure(shown_);
  const std::vector<std::byte> head = encode_head(entry, boot_id(), status.st_ino);
  head_ = base::Reader(std::span(head).last(8)).get<std::uint64_t>();
  try {
    append_all(fd_.get(), head, shown_);
  } catch (const base::Error&) {
    // On a disk that is full a name may be all that there is room for.
    static_cast<void>(unlinkat(folder, name.c_str(), 0));
    throw;
  }
}

Journal::Journal(Recovered& recovered, int part, bool durable, std::string shown)
    : shown_(std::move(shown)),
      part_(part),
      durable_(durable),
      fd_(std::move(recovered.journal)),
      head_(recovered.head),
      synced_(std::chrono::steady_clock::now()) {
  if (ftruncate(fd_.get(), static_cast<off_t>(recovered.bytes)) != 0) throw failure(shown_);
  if (!recovered.same_boot) append(boot_record(boot_id()));
}

void Journal::append(const Record& record) { append_all(fd_.get(), encode(record, head_), shown_); }

void Journal::add(core::Range range, const base::Digest& digest) {
  const Record record{range, digest, false};
  // Good as long as this machine runs: what is killed leaves its pages to the kernel.
  append(record);
  if (!durable_) return;
  std::vector<Record> ready;
  {
    const std::lock_guard lock(mutex_);
    unsynced_.push_back(record);
    const auto now = std::chrono::steady_clock::now();
    if (now - synced_ < kSyncPause) return;
    synced_ = now;
    ready.swap(unsynced_);
  }
  if (fdatasync(part_) != 0) throw failure(shown_);
  for (Record& one : ready) {
    one.durable = true;
    append(one);
  }
  if (fdatasync(fd_.get()) != 0) throw failure(shown_);
}

Recovered recover(int folder, const std::string& name, const core::Entry& entry) {
  const std::string journal = journal_name(name);
  constexpr int kFlags = O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK;
  Recovered found;
  found.journal = base::Fd(openat(folder, journal.c_str(), kFlags | O_APPEND));
  if (!found.journal.valid() && errno == ENOENT) return {};
  const auto check_shortage = [&](const base::Fd& fd) {
    if (!fd.valid() && is_shortage(errno))
      throw base::system_error(Kind::kDestination, name, errno, "what an earlier run has left can't be opened");
  };
  check_shortage(found.journal);
  found.part = base::Fd(openat(folder, temporary_name(name).c_str(), kFlags));
  check_shortage(found.part);
  struct stat status = {};
  std::optional<Journal::Head> head;
  if (found.journal.valid() && is_ours(found.journal.get(), status)) {
    // Killed before its head was written: no damage, and the next one replaces it.
    if (status.st_size == 0) return {};
    std::vector<std::byte> bytes(Journal::kLongestHead);
    const std::int64_t got = read_up_to(found.journal.get(), 0, bytes);
    head = Journal::decode_head(std::span(bytes).first(got > 0 ? static_cast<std::size_t>(got) : 0), entry, boot_id());
  }
  if (!head) {
    // Kept for whoever wants to know what it was, until `clean`.
    static_cast<void>(renameat(folder, journal.c_str(), folder, aside_name(name).c_str()));
    return {};
  }
  if (!head->same_source || !found.part.valid() || !is_ours(found.part.get(), status) || status.st_ino != head->inode)
    return {};
  found.head = head->checksum;
  found.bytes = static_cast<std::int64_t>(head->bytes);
  found.same_boot = head->same_boot;
  read_records(found, status.st_size, entry, name);
  return found;
}

}  // namespace argosy::file
