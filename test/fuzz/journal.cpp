// Journals of interrupted runs: an input is one, as it lies on the disk. Where its shape allows, it gets the inode
// number, checksums and digests that make a run believe it.
#include "file/journal.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

#include "base/error.h"
#include "check.h"
#include "file/temporary.h"

namespace argosy {
namespace {

using file::Journal;
using fuzz::require;
using Bytes = std::span<const std::byte>;

constexpr std::int64_t kSize = 5 * base::kLeafSize + 1000;
constexpr std::size_t kRecord = 48;

core::Entry an_entry() {
  core::Entry entry;
  entry.path = "folder/name";
  entry.size = kSize;
  entry.mtime = {1'700'000'000, 5};
  return entry;
}

// A folder in memory with a file of zeros that an earlier run has begun.
struct Place {
  Place() {
    std::string path = access("/dev/shm", W_OK) == 0 ? "/dev/shm/argosy-fuzz-XXXXXX" : "/tmp/argosy-fuzz-XXXXXX";
    require(mkdtemp(path.data()) != nullptr, "there is room for a folder");
    folder = base::Fd(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    const std::string name = file::temporary_name("name");
    part = base::Fd(openat(folder.get(), name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    struct stat status = {};
    require(ftruncate(part.get(), kSize) == 0 && fstat(part.get(), &status) == 0, "there is room for a file");
    inode = status.st_ino;
    root = path;
  }
  ~Place() {
    for (const std::string& name : {file::temporary_name("name"), file::journal_name("name"), file::aside_name("name")})
      static_cast<void>(unlinkat(folder.get(), name.c_str(), 0));
    static_cast<void>(rmdir(root.c_str()));
  }
  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;

  std::string root;
  base::Fd folder;
  base::Fd part;
  std::uint64_t inode = 0;
};

Place& place() {
  static Place one;
  return one;
}

template <typename T>
void put_at(std::vector<std::byte>& bytes, std::size_t at, T value) {
  std::memcpy(bytes.data() + at, &value, sizeof value);
}

// Where the head ends, or 0.
std::size_t head_of(Bytes bytes) {
  base::Reader reader(bytes);
  reader.get<std::uint64_t>();
  reader.get_string(64);
  reader.get_string(Journal::kLongestName);
  for (int i = 0; i < 2; ++i) reader.get<std::uint64_t>();
  reader.get<std::uint32_t>();
  for (int i = 0; i < 2; ++i) reader.get<std::uint64_t>();
  return reader.ok() ? bytes.size() - reader.left() : 0;
}

std::vector<std::byte> believable(Bytes input) {
  std::vector<std::byte> bytes(input.begin(), input.end());
  const std::size_t head = head_of(bytes);
  if (head == 0) return bytes;
  put_at(bytes, head - 16, place().inode);
  const std::uint64_t key = base::checksum_of(std::span(bytes).first(head - 8));
  put_at(bytes, head - 8, key);
  for (std::size_t at = head; at + kRecord <= bytes.size(); at += kRecord) {
    base::Reader reader(std::span(bytes).subspan(at, kRecord));
    const auto begin = reader.get<std::int64_t>();
    const auto end = reader.get<std::int64_t>();
    if (begin >= 0 && begin < end && end <= kSize && begin % base::kLeafSize == 0) {
      const base::Digest digest = base::digest_of_zeros(begin, end - begin);
      put_at(bytes, at + 16, digest.low);
      put_at(bytes, at + 24, digest.high);
    }
    std::vector<std::byte> covered(bytes.begin() + static_cast<std::ptrdiff_t>(at),
                                   bytes.begin() + static_cast<std::ptrdiff_t>(at + 40));
    base::Writer(covered).put(key);
    put_at(bytes, at + 40, base::checksum_of(covered));
  }
  return bytes;
}

void look_at(const core::Range& range) {
  require(range.begin >= 0 && range.begin < range.end && range.end <= kSize, "a range lies in its file");
  require(range.begin % base::kLeafSize == 0 && (range.end % base::kLeafSize == 0 || range.end == kSize),
          "a range has whole leaves");
}

// Where what makes sense ends; 0: it is foreign.
std::size_t decode(Bytes bytes) {
  const auto head = Journal::decode_head(bytes.first(std::min(bytes.size(), Journal::kLongestHead)), "boot");
  if (!head) return 0;
  require(head->key.size >= 0 && head->key.name.size() <= Journal::kLongestName, "what it is about is bounded");
  if (head->key.name != "name") return 0;
  require(head->bytes <= bytes.size(), "a head ends where its bytes do");
  std::size_t at = head->bytes;
  for (; at + Journal::kRecordBytes <= bytes.size(); at += Journal::kRecordBytes) {
    const auto record = Journal::decode(bytes.subspan(at, Journal::kRecordBytes), head->checksum, kSize);
    if (!record) break;
    if (!record->is_boot()) look_at(record->range);
  }
  return at;
}

void recover(Bytes bytes) {
  Place& at = place();
  const std::string name = file::journal_name("name");
  {
    const base::Fd fd(openat(at.folder.get(), name.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    require(write(fd.get(), bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()), "there is room");
  }
  file::Recovered found = file::recover(at.folder.get(), "name", an_entry());
  std::int64_t last = 0;
  for (const core::Part& part : found.parts) {
    look_at(part.range);
    require(part.range.begin >= std::exchange(last, part.range.end), "parts are in order and do not overlap");
    require(part.digest == base::digest_of_zeros(part.range.begin, part.range.end - part.range.begin),
            "what is believed is on the disk");
  }
  if (found.parts.empty()) return;
  // It is gone on with: what is added stands behind what made sense.
  const std::size_t used = decode(bytes);
  require(found.bytes == static_cast<std::int64_t>(used), "all that makes sense was read");
  const std::size_t more = (found.same_boot ? 1 : 2) * Journal::kRecordBytes;
  try {
    Journal journal(found, at.part.get(), false, "name");
    journal.add({0, base::kLeafSize}, base::digest_of_zeros(0, base::kLeafSize));
  } catch (const base::Error&) {
    require(false, "a journal that is believed can be gone on with");
  }
  std::vector<std::byte> longer(used + more);
  const base::Fd again(openat(at.folder.get(), name.c_str(), O_RDONLY | O_CLOEXEC));
  require(pread(again.get(), longer.data(), longer.size(), 0) == static_cast<ssize_t>(longer.size()), "it has grown");
  require(decode(longer) == longer.size(), "what was added is there");
}

}  // namespace
}  // namespace argosy

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace argosy;
  const Bytes input = std::as_bytes(std::span(data, size));
  decode(input);
  const std::vector<std::byte> bytes = believable(input);
  if (decode(bytes) != 0) recover(bytes);
  return 0;
}
