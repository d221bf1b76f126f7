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

// What could be opened another time says nothing of the file: then nothing is taken for damaged.
void check_shortage(const base::Fd& fd, const std::string& shown) {
  if (!fd.valid() && (errno == EMFILE || errno == ENFILE || errno == ENOMEM))
    throw base::system_error(Kind::kDestination, shown, errno, "what an earlier run has left can't be opened");
}

bool others_may_write(const struct stat& status) { return (status.st_mode & (S_IWGRP | S_IWOTH)) != 0; }

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

// How far a journal makes sense, and whether what is added there is of the boot that its last records are of.
struct Sense {
  std::int64_t bytes = 0;
  bool same_boot = false;
};

// Calls `take` with each record of a journal that counts, as long as they make sense.
template <typename Take>
Sense each_record(int fd, const Journal::Head& head, Take take) {
  const base::Digest this_boot = Journal::boot_record(boot_id()).digest;
  Sense sense{static_cast<std::int64_t>(head.bytes), head.same_boot};
  std::vector<std::byte> block(Journal::kRecordBytes * 1024);
  while (true) {
    const std::int64_t got = read_up_to(fd, sense.bytes, block);
    for (std::size_t at = 0; at + Journal::kRecordBytes <= block.size(); at += Journal::kRecordBytes) {
      const auto bytes = std::span(block).subspan(at, Journal::kRecordBytes);
      const bool has_come = static_cast<std::int64_t>(at + Journal::kRecordBytes) <= got;
      const auto record = has_come ? Journal::decode(bytes, head.checksum, head.key.size) : std::nullopt;
      if (!record) return sense;
      sense.bytes += static_cast<std::int64_t>(Journal::kRecordBytes);
      if (record->is_boot()) {
        sense.same_boot = !boot_id().empty() && record->digest == this_boot;
      } else if (sense.same_boot || record->durable) {
        take(*record);
      }
    }
  }
}

// Keeps of what a journal tells what is there.
void read_records(Recovered& found, std::int64_t part_bytes, const Journal::Head& head, const std::string& shown) {
  const std::int64_t most = core::part_size(head.key.size);
  core::Ranges known;
  std::map<std::int64_t, core::Part> parts;
  const Sense sense = each_record(found.journal.get(), head, [&](const Journal::Record& record) {
    if (record.range.end > part_bytes || known.meets(record.range)) return;
    if (parts.size() >= core::kPartsAnAnswer) return;  // scattered like no run's: the rest is written again
    const auto there = read_parts(found.part.get(), record, most, shown);
    if (!there) return;
    known.add(record.range);
    for (const core::Part& part : *there) join(parts, part, most);
  });
  found.bytes = sense.bytes;
  found.same_boot = sense.same_boot;
  for (const auto& [begin, part] : parts) found.parts.push_back(part);
}

// Opens a journal, and reads its head. Nothing where there is none yet; one that is damaged, is somebody else's, or
// must be about `name` and is not, is set aside.
std::optional<Journal::Head> open_journal(const JournalNames& names, const std::string* name, base::Fd& journal) {
  constexpr int kFlags = O_RDWR | O_APPEND | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK;
  journal = base::Fd(openat(names.folder, names.journal.c_str(), kFlags));
  if (!journal.valid() && errno == ENOENT) return std::nullopt;
  check_shortage(journal, name == nullptr ? names.journal : *name);
  struct stat status = {};
  std::optional<Journal::Head> head;
  if (journal.valid() && is_ours(journal.get(), status) && !others_may_write(status)) {
    // Killed before its head was written: no damage, and the next one replaces it.
    if (status.st_size == 0) return std::nullopt;
    std::vector<std::byte> bytes(Journal::kLongestHead);
    const std::int64_t got = read_up_to(journal.get(), 0, bytes);
    head = Journal::decode_head(std::span(bytes).first(got > 0 ? static_cast<std::size_t>(got) : 0), boot_id());
  }
  if (head && (name == nullptr || head->key.name == *name)) return head;
  // Kept for whoever wants to know what it was, until `clean`.
  static_cast<void>(renameat(names.folder, names.journal.c_str(), names.folder, names.aside.c_str()));
  return std::nullopt;
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

Journal::Key Journal::key_of(const core::Entry& entry) {
  return {std::string(name_of(entry.path)), entry.size, entry.mtime};
}

std::vector<std::byte> Journal::encode_head(const Key& key, std::string_view boot, std::uint64_t inode) {
  std::vector<std::byte> bytes;
  base::Writer writer(bytes);
  writer.put(kMagic);
  writer.put(kVersion);
  writer.put_string(boot);
  writer.put_string(key.name);
  writer.put(key.size);
  writer.put(key.mtime.seconds);
  writer.put(key.mtime.nanoseconds);
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

std::optional<Journal::Head> Journal::decode_head(std::span<const std::byte> bytes, std::string_view boot) {
  base::Reader reader(bytes);
  if (reader.get<std::uint32_t>() != kMagic || reader.get<std::uint32_t>() != kVersion) return std::nullopt;
  const std::string its_boot = reader.get_string(kLongestBoot);
  Head head;
  head.key.name = reader.get_string(kLongestName);
  head.key.size = reader.get<std::int64_t>();
  head.key.mtime.seconds = reader.get<std::int64_t>();
  head.key.mtime.nanoseconds = reader.get<std::int32_t>();
  head.inode = reader.get<std::uint64_t>();
  const std::size_t covered = bytes.size() - reader.left();
  head.checksum = reader.get<std::uint64_t>();
  if (!reader.ok() || head.checksum != base::checksum_of(bytes.first(covered)) || head.key.size < 0)
    return std::nullopt;
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

Journal::Journal(int folder, const std::string& name, const Key& key, int part, bool durable, std::string shown)
    : shown_(std::move(shown)), part_(part), durable_(durable), synced_(std::chrono::steady_clock::now()) {
  struct stat status = {};
  if (fstat(part, &status) != 0) throw failure(shown_);
  if (unlinkat(folder, name.c_str(), 0) != 0 && errno != ENOENT) throw failure(shown_);
  fd_ = base::Fd(openat(folder, name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!fd_.valid()) throw failure(shown_);
  const std::vector<std::byte> head = encode_head(key, boot_id(), status.st_ino);
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

bool is_ours(int fd, struct stat& status) {
  return fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_uid == geteuid() && status.st_nlink == 1;
}

namespace {

Recovered recover_with(const JournalNames& names, base::Fd part, const Journal::Key& key, const std::string* name,
                       const std::string& shown) {
  Recovered found;
  const auto head = open_journal(names, name, found.journal);
  struct stat status = {};
  if (!head || head->key != key || !part.valid() || !is_ours(part.get(), status) || status.st_ino != head->inode)
    return {};
  found.part = std::move(part);
  found.head = head->checksum;
  read_records(found, status.st_size, *head, shown);
  return found;
}

}  // namespace

Recovered recover(int folder, const std::string& name, const core::Entry& entry) {
  base::Fd part(openat(folder, temporary_name(name).c_str(), O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK));
  check_shortage(part, name);
  struct stat status = {};
  if (part.valid() && (fstat(part.get(), &status) != 0 || others_may_write(status))) part = base::Fd();
  const Journal::Key key = Journal::key_of(entry);
  return recover_with({folder, journal_name(name), aside_name(name)}, std::move(part), key, &key.name, name);
}

Recovered recover(const JournalNames& names, base::Fd part, const Journal::Key& key, const std::string& shown) {
  return recover_with(names, std::move(part), key, nullptr, shown);
}

std::optional<Begun> begun(const JournalNames& names, int part) {
  base::Fd journal;
  const auto head = open_journal(names, nullptr, journal);
  struct stat status = {};
  if (!head || !is_ours(part, status) || status.st_ino != head->inode) return std::nullopt;
  core::Ranges written;
  each_record(journal.get(), *head, [&](const Journal::Record& record) {
    if (record.range.end > status.st_size || written.meets(record.range)) return;
    if (written.all().size() < core::kPartsAnAnswer) written.add(record.range);
  });
  const std::vector<core::Range> missing = written.missing(head->key.size);
  const core::Range gap = missing.empty() ? core::Range{head->key.size, head->key.size} : missing.front();
  return Begun{head->key, gap, written.bytes()};
}

}  // namespace argosy::file
