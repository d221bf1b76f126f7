#include "file/kept.h"

#include <algorithm>
#include <cstring>
#include <span>
#include <utility>

#include "base/digest.h"
#include "file/temporary.h"

namespace argosy::file {

namespace {

constexpr std::size_t kBlock = 64 * 1024;
constexpr std::size_t kSlotsAtFirst = 1024;
constexpr std::uint64_t kMarks = 7;

// Seven bits a byte, the lowest first; the highest bit says that more follow.
void put_number(std::string& out, std::uint64_t value) {
  for (; value > 0x7F; value >>= 7U) out += static_cast<char>(value | 0x80U);
  out += static_cast<char>(value);
}

void put_text(std::string& out, std::string_view text) {
  put_number(out, text.size());
  out += text;
}

// What `text` does not share with the beginning of its neighbour.
void put_beside(std::string& out, std::string_view text, std::string_view neighbour) {
  const auto differ = std::mismatch(text.begin(), text.end(), neighbour.begin(), neighbour.end());
  const auto same = static_cast<std::size_t>(differ.first - text.begin());
  put_number(out, same);
  put_text(out, text.substr(same));
}

// Takes what these have put; nothing of it comes from outside.
class Taking {
 public:
  explicit Taking(std::string_view in) : in_(in) {}
  std::uint64_t number() {
    std::uint64_t value = 0;
    for (unsigned shift = 0;; shift += 7) {
      const auto byte = static_cast<unsigned char>(in_.front());
      in_.remove_prefix(1);
      value |= static_cast<std::uint64_t>(byte & 0x7FU) << shift;
      if (byte < 0x80) return value;
    }
  }
  std::string_view text() {
    const auto size = static_cast<std::size_t>(number());
    const std::string_view text = in_.substr(0, size);
    in_.remove_prefix(size);
    return text;
  }
  std::string beside(std::string_view neighbour) {
    const auto same = static_cast<std::size_t>(number());
    return std::string(neighbour.substr(0, same)).append(text());
  }

 private:
  std::string_view in_;
};

std::uint32_t size_at(std::string_view bytes) {
  std::uint32_t size = 0;
  std::memcpy(&size, bytes.data(), sizeof size);
  return size;
}

std::uint64_t key_of(std::string_view path) { return std::max(hash_of(path) & ~kMarks, kMarks + 1); }

}  // namespace

// Its size stands on both sides of a record: blocks are gone through both ways.
void Blocks::add(std::string_view record) {
  const auto size = static_cast<std::uint32_t>(record.size());
  const std::size_t bytes = record.size() + 2 * sizeof size;
  if (blocks_.empty() || blocks_.back().size() + bytes > blocks_.back().capacity()) {
    blocks_.emplace_back().reserve(std::max(kBlock, bytes));
  }
  std::string& block = blocks_.back();
  const std::string_view around(reinterpret_cast<const char*>(&size), sizeof size);
  block.append(around).append(record).append(around);
}

void Blocks::for_each(const std::function<void(std::string_view)>& use) const {
  for (const std::string_view block : blocks_) {
    for (std::size_t at = 0; at < block.size();) {
      const std::uint32_t size = size_at(block.substr(at));
      use(block.substr(at + sizeof size, size));
      at += size + 2 * sizeof size;
    }
  }
}

void Blocks::for_each_backwards(const std::function<void(std::string_view)>& use) const {
  for (auto one = blocks_.rbegin(); one != blocks_.rend(); ++one) {
    std::string_view block = *one;
    while (!block.empty()) {
      const std::uint32_t size = size_at(block.substr(block.size() - sizeof size));
      use(block.substr(block.size() - sizeof size - size, size));
      block.remove_suffix(size + 2 * sizeof size);
    }
  }
}

void FolderRecords::add(FolderRecord record) {
  if (last_) {
    ordered_ = ordered_ && last_->index <= record.index;
    keep(*last_, record);
  }
  last_ = std::move(record);
}

void FolderRecords::keep(const FolderRecord& record, const FolderRecord& next) {
  std::string bytes;
  const core::Entry& entry = record.entry;
  // Modulo 2^64: a difference of either sign.
  put_number(bytes, next.index - record.index);
  put_beside(bytes, entry.path, next.entry.path);
  put_number(bytes, (std::uint64_t{entry.mode} << 1U) | (record.made ? 1U : 0U));
  put_number(bytes, entry.uid);
  put_number(bytes, entry.gid);
  put_number(bytes, static_cast<std::uint64_t>(entry.mtime.seconds));
  put_number(bytes, static_cast<std::uint64_t>(entry.mtime.nanoseconds));
  put_number(bytes, entry.attributes.size());
  for (const core::Attribute& attribute : entry.attributes) {
    put_text(bytes, attribute.name);
    put_text(bytes, attribute.value);
  }
  blocks_.add(bytes);
}

void FolderRecords::take_backwards(const std::function<void(const FolderRecord&)>& use) {
  if (!last_) return;
  FolderRecord next = std::move(*std::exchange(last_, std::nullopt));
  const Blocks blocks = std::exchange(blocks_, {});
  std::vector<FolderRecord> all;
  const auto give = [&](const FolderRecord& record) {
    if (ordered_) return use(record);
    all.push_back(record);
  };
  give(next);
  blocks.for_each_backwards([&](std::string_view bytes) {
    Taking taking(bytes);
    FolderRecord record;
    core::Entry& entry = record.entry;
    record.index = next.index - taking.number();
    entry.path = taking.beside(next.entry.path);
    entry.type = core::Type::kFolder;
    const std::uint64_t mode = taking.number();
    record.made = (mode & 1U) != 0;
    entry.mode = static_cast<std::uint32_t>(mode >> 1U);
    entry.uid = static_cast<std::uint32_t>(taking.number());
    entry.gid = static_cast<std::uint32_t>(taking.number());
    entry.mtime.seconds = static_cast<std::int64_t>(taking.number());
    entry.mtime.nanoseconds = static_cast<std::int32_t>(taking.number());
    entry.attributes.resize(taking.number());
    for (core::Attribute& attribute : entry.attributes) {
      attribute.name = taking.text();
      attribute.value = taking.text();
    }
    next = std::move(record);
    give(next);
  });
  std::stable_sort(all.begin(), all.end(),
                   [](const FolderRecord& one, const FolderRecord& other) { return one.index > other.index; });
  for (const FolderRecord& record : all) use(record);
  ordered_ = true;
}

void LinkRecords::add(const LinkRecord& record) {
  std::string bytes;
  put_beside(bytes, record.path, last_);
  put_beside(bytes, record.first, record.path);
  blocks_.add(bytes);
  last_ = record.path;
}

void LinkRecords::take(const std::function<void(const LinkRecord&)>& use) {
  const Blocks blocks = std::exchange(blocks_, {});
  last_.clear();
  LinkRecord record;
  blocks.for_each([&](std::string_view bytes) {
    Taking taking(bytes);
    record.path = taking.beside(record.path);
    record.first = taking.beside(record.path);
    use(record);
  });
}

// Where `key` is, or would be.
std::size_t FolderMarks::find(std::uint64_t key) const {
  std::size_t at = (key >> 3U) & (slots_.size() - 1);
  while (slots_[at] != 0 && (slots_[at] & ~kMarks) != key) at = (at + 1) & (slots_.size() - 1);
  return at;
}

void FolderMarks::grow() {
  const std::vector<std::uint64_t> before =
      std::exchange(slots_, std::vector<std::uint64_t>(std::max(kSlotsAtFirst, 2 * slots_.size())));
  for (const std::uint64_t slot : before) {
    if (slot != 0) slots_[find(slot & ~kMarks)] = slot;
  }
}

bool FolderMarks::set(std::string_view path, Mark mark) {
  if (used_ >= slots_.size() / 4 * 3) grow();
  const std::uint64_t key = key_of(path);
  std::uint64_t& slot = slots_[find(key)];
  if (slot == 0) {
    slot = key;
    ++used_;
  }
  const bool had = (slot & mark) != 0;
  slot |= mark;
  return !had;
}

bool FolderMarks::has(std::string_view path, Mark mark) const {
  return !slots_.empty() && (slots_[find(key_of(path))] & mark) != 0;
}

}  // namespace argosy::file
