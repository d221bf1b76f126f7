#include "file/journal.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <span>
#include <utility>

#include "base/activity.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/interrupt.h"
#include "file/folders.h"
#include "file/temporary.h"

namespace argosy::file {

namespace {

using base::Kind;

constexpr std::uint32_t kMagic = 0x4A475241;  // "ARGJ"
constexpr std::uint32_t kVersion = 1;
constexpr std::size_t kLongestName = 255;
constexpr std::size_t kLongestBoot = 64;
constexpr std::size_t kRecordBytes = 48;
constexpr std::size_t kLargest = 64U << 20;  // a journal of more is not read
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

std::vector<std::byte> read_whole(int fd) {
  std::vector<std::byte> bytes;
  struct stat status = {};
  if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode) || static_cast<std::size_t>(status.st_size) > kLargest)
    return bytes;
  bytes.resize(static_cast<std::size_t>(status.st_size));
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t got = pread(fd, bytes.data() + done, bytes.size() - done, static_cast<off_t>(done));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    done += static_cast<std::size_t>(got);
  }
  bytes.resize(done);
  return bytes;
}

bool is_empty(int fd) {
  struct stat status = {};
  return fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_size == 0;
}

// Whether the file still reads as the record says.
bool reads_so(int part, const Journal::Record& record) {
  std::vector<std::byte> leaf(static_cast<std::size_t>(base::kLeafSize));
  base::Digest sum;
  for (std::int64_t at = record.range.begin; at < record.range.end; at += base::kLeafSize) {
    if (base::interrupted() != 0) return false;
    const auto length = static_cast<std::size_t>(std::min(base::kLeafSize, record.range.end - at));
    std::size_t done = 0;
    while (done < length) {
      const ssize_t got = pread(part, leaf.data() + done, length - done, at + static_cast<off_t>(done));
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) return false;
      done += static_cast<std::size_t>(got);
    }
    sum += base::digest_of(std::span(leaf).first(length), at);
    base::note_activity();
  }
  return sum == record.digest;
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
  writer.put(static_cast<std::uint64_t>(record.durable ? 1 : 0));
  // With the head's, so that a record of another journal is none of this one's.
  std::vector<std::byte> covered = bytes;
  base::Writer(covered).put(head);
  writer.put(base::checksum_of(covered));
  return bytes;
}

Journal::Contents Journal::decode(std::span<const std::byte> bytes, const core::Entry& entry, std::string_view boot,
                                  std::size_t& bytes_used) {
  Contents contents;
  bytes_used = 0;
  contents.foreign = true;
  base::Reader reader(bytes);
  if (reader.get<std::uint32_t>() != kMagic || reader.get<std::uint32_t>() != kVersion) return contents;
  const std::string its_boot = reader.get_string(kLongestBoot);
  const std::string name = reader.get_string(kLongestName);
  const auto size = reader.get<std::int64_t>();
  core::Timestamp mtime;
  mtime.seconds = reader.get<std::int64_t>();
  mtime.nanoseconds = reader.get<std::int32_t>();
  contents.inode = reader.get<std::uint64_t>();
  const std::size_t covered = bytes.size() - reader.left();
  const auto head = reader.get<std::uint64_t>();
  if (!reader.ok() || head != base::checksum_of(bytes.first(covered)) || name != name_of(entry.path)) return contents;
  contents.foreign = false;
  contents.same_source = size == entry.size && mtime == entry.mtime;
  contents.same_boot = !boot.empty() && its_boot == boot;
  bytes_used = covered + 8;
  while (reader.left() >= kRecordBytes) {
    Record record;
    record.range.begin = reader.get<std::int64_t>();
    record.range.end = reader.get<std::int64_t>();
    record.digest.low = reader.get<std::uint64_t>();
    record.digest.high = reader.get<std::uint64_t>();
    const auto durable = reader.get<std::uint64_t>();
    record.durable = durable == 1;
    const auto checksum = reader.get<std::uint64_t>();
    std::vector<std::byte> again = encode(record, head);
    const bool sane = durable <= 1 && record.range.begin >= 0 && record.range.begin < record.range.end &&
                      record.range.end <= size && record.range.begin % base::kLeafSize == 0 &&
                      (record.range.end % base::kLeafSize == 0 || record.range.end == size);
    if (!sane || base::Reader(std::span(again).last(8)).get<std::uint64_t>() != checksum) break;
    contents.records.push_back(record);
    bytes_used += kRecordBytes;
  }
  return contents;
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
  append_all(fd_.get(), head, shown_);
}

Journal::Journal(int folder, const std::string& name, int part, bool durable, std::string shown, std::size_t bytes)
    : shown_(std::move(shown)), part_(part), durable_(durable), synced_(std::chrono::steady_clock::now()) {
  fd_ = base::Fd(openat(folder, name.c_str(), O_RDWR | O_APPEND | O_NOFOLLOW | O_CLOEXEC));
  if (!fd_.valid() || ftruncate(fd_.get(), static_cast<off_t>(bytes)) != 0) throw failure(shown_);
  const std::vector<std::byte> all = read_whole(fd_.get());
  // What follows the head are records of a known size.
  base::Reader reader(all);
  reader.get<std::uint64_t>();
  reader.get_string(kLongestBoot);
  reader.get_string(kLongestName);
  for (int i = 0; i < 3; ++i) reader.get<std::uint64_t>();
  reader.get<std::uint32_t>();
  head_ = reader.get<std::uint64_t>();
  if (!reader.ok()) throw failure(shown_);
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

std::vector<Journal::Record> recover(int folder, const std::string& name, const core::Entry& entry, std::size_t& used) {
  const std::string journal = journal_name(name);
  const base::Fd fd(openat(folder, journal.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK));
  if (!fd.valid()) return {};
  const std::vector<std::byte> bytes = read_whole(fd.get());
  // Killed before its head was written: no damage, and the next one replaces it.
  if (bytes.empty() && is_empty(fd.get())) return {};
  const Journal::Contents contents = Journal::decode(bytes, entry, boot_id(), used);
  if (contents.foreign) {
    // Kept for whoever wants to know what it was, until `clean`.
    static_cast<void>(renameat(folder, journal.c_str(), folder, aside_name(name).c_str()));
    return {};
  }
  const base::Fd part(openat(folder, temporary_name(name).c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK));
  struct stat status = {};
  if (!contents.same_source || !part.valid() || fstat(part.get(), &status) != 0 || !S_ISREG(status.st_mode) ||
      status.st_ino != contents.inode)
    return {};
  std::vector<Journal::Record> records;
  core::Ranges ranges;
  for (const Journal::Record& record : contents.records) {
    if (!contents.same_boot && !record.durable) continue;
    if (record.range.end > status.st_size || !ranges.add(record.range)) continue;
    if (reads_so(part.get(), record)) records.push_back(record);
  }
  return records;
}

}  // namespace argosy::file
