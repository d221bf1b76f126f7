#include "core/manifest.h"

#include <algorithm>
#include <array>

#include "base/bytes.h"
#include "base/digest.h"

namespace argosy::core {

namespace {

constexpr std::uint32_t kPageMagic = 0x50475241;    // "ARGP"
constexpr std::uint32_t kAnswerMagic = 0x41475241;  // "ARGA"
constexpr std::size_t kPageHead = 4 + 8 + 8 + 1 + 4;
constexpr std::size_t kEntryFixed = 4 + 1 + 8 + 1 + 4 + 4 + 4 + 4 + 12 + 12 + 8 + 8 + 4 + 4 + 16;
constexpr std::size_t kChecksum = 8;
constexpr unsigned kOpenEnded = 1;
constexpr unsigned kHasDigest = 2;
constexpr unsigned kSparse = 4;
constexpr unsigned kSeveral = 8;
constexpr std::size_t kLongestAttributeName = 255;

void append_checksum(std::vector<std::byte>& bytes) { base::Writer(bytes).put(base::checksum_of(bytes)); }

// The bytes before their checksum, or nothing where it does not fit them.
std::optional<std::span<const std::byte>> without_checksum(std::span<const std::byte> bytes) {
  if (bytes.size() < kChecksum) return std::nullopt;
  const auto body = bytes.first(bytes.size() - kChecksum);
  if (base::Reader(bytes.last(kChecksum)).get<std::uint64_t>() != base::checksum_of(body)) return std::nullopt;
  return body;
}

void put_time(base::Writer& writer, const Timestamp& time) {
  writer.put(time.seconds);
  writer.put(time.nanoseconds);
}

bool get_time(base::Reader& reader, Timestamp& time) {
  time.seconds = reader.get<std::int64_t>();
  time.nanoseconds = reader.get<std::int32_t>();
  return time.nanoseconds >= 0 && time.nanoseconds < 1'000'000'000;
}

void put_attributes(base::Writer& writer, const std::vector<Attribute>& attributes) {
  writer.put(static_cast<std::uint32_t>(attributes.size()));
  for (const Attribute& attribute : attributes) {
    writer.put_string(attribute.name);
    writer.put_string(attribute.value);
  }
}

bool get_attributes(base::Reader& reader, std::vector<Attribute>& attributes) {
  const auto count = reader.get<std::uint32_t>();
  if (count > kAttributeBytes) return false;
  std::size_t bytes = 0;
  for (std::uint32_t i = 0; i < count && reader.ok(); ++i) {
    Attribute attribute;
    attribute.name = reader.get_string(kLongestAttributeName);
    attribute.value = reader.get_string(kAttributeBytes);
    bytes += attribute.name.size() + attribute.value.size();
    if (attribute.name.empty() || !is_moved_attribute(attribute.name) || bytes > kAttributeBytes) return false;
    if (!attributes.empty() && attributes.back().name >= attribute.name) return false;
    attributes.push_back(std::move(attribute));
  }
  return true;
}

bool is_device(Type type) { return type == Type::kCharDevice || type == Type::kBlockDevice; }

bool flags_fit(const Entry& entry, unsigned flags) {
  if (flags > (kOpenEnded | kHasDigest | kSparse | kSeveral)) return false;
  if (entry.open_ended && entry.size != 0) return false;
  if (entry.type != Type::kFile && (flags & ~kSeveral) != 0) return false;
  return !entry.several || (entry.type != Type::kFolder && entry.type != Type::kHardLink);
}

// Reads one entry; an empty string, or what is wrong with it.
std::string get_entry(base::Reader& reader, Entry& entry) {
  entry.path = reader.get_string(kLongestPath);
  const auto type = reader.get<std::uint8_t>();
  entry.type = static_cast<Type>(type);
  entry.size = reader.get<std::int64_t>();
  const auto flags = reader.get<std::uint8_t>();
  entry.open_ended = (flags & kOpenEnded) != 0;
  entry.error_number = reader.get<std::int32_t>();
  entry.mode = reader.get<std::uint32_t>();
  entry.uid = reader.get<std::uint32_t>();
  entry.gid = reader.get<std::uint32_t>();
  const bool times_fit = get_time(reader, entry.mtime) && get_time(reader, entry.ctime);
  entry.inode = reader.get<std::uint64_t>();
  entry.device = reader.get<std::uint64_t>();
  entry.sparse = (flags & kSparse) != 0;
  entry.several = (flags & kSeveral) != 0;
  entry.link = reader.get_string(kLongestPath);
  const bool attributes_fit = get_attributes(reader, entry.attributes);
  if ((flags & kHasDigest) != 0) {
    base::Digest& digest = entry.digest.emplace();
    digest.low = reader.get<std::uint64_t>();
    digest.high = reader.get<std::uint64_t>();
  }
  if (!reader.ok()) return "it ends early";
  if (!is_safe_path(entry.path)) return "a path leads out of the destination";
  if (entry.size < kMissing) return "a size is negative";
  if (entry.size > kLargestFile) return "a size is larger than any file's";
  if (type >= kTypes) return "an entry's type is unknown";
  if (entry.type != Type::kFile && entry.size != 0) return "a size is one that only a file has";
  if (!is_safe_link(entry.type, entry.link)) return "a link leads out of the destination";
  if (!flags_fit(entry, flags)) return "an entry's flags are unknown";
  if (!is_device(entry.type) && entry.device != 0) return "an entry is of a device, and is none";
  if (!attributes_fit || (entry.type == Type::kHardLink && !entry.attributes.empty()))
    return "an entry's attributes are impossible";
  if (entry.error_number < 0 || (entry.mode & ~07777U) != 0 || !times_fit) return "an entry's metadata is impossible";
  return {};
}

// The rest of an answer; false where it says what no honest peer says.
bool get_held(base::Reader& reader, Answer& answer) {
  const auto entries = reader.get<std::uint32_t>();
  if (entries > kPartsAnAnswer) return false;
  std::size_t all = 0;
  for (std::uint32_t i = 0; i < entries; ++i) {
    Held held;
    held.entry = reader.get<std::uint32_t>();
    const auto parts = reader.get<std::uint32_t>();
    all += parts;
    if (!reader.ok() || parts == 0 || all > kPartsAnAnswer || held.entry >= answer.wanted.size() ||
        !answer.wanted[held.entry])
      return false;
    if (!answer.held.empty() && answer.held.back().entry >= held.entry) return false;
    std::int64_t last = 0;
    for (std::uint32_t j = 0; j < parts; ++j) {
      Part part;
      part.range.begin = reader.get<std::int64_t>();
      part.range.end = reader.get<std::int64_t>();
      part.digest.low = reader.get<std::uint64_t>();
      part.digest.high = reader.get<std::uint64_t>();
      if (!reader.ok() || part.range.begin < last || part.range.end <= part.range.begin ||
          part.range.begin % base::kLeafSize != 0)
        return false;
      last = part.range.end;
      held.parts.push_back(part);
    }
    answer.held.push_back(std::move(held));
  }
  return reader.ok() && reader.left() == 0;
}

}  // namespace

bool is_safe_path(std::string_view path) {
  if (path.size() > kLongestPath || path.find('\0') != std::string_view::npos) return false;
  while (true) {
    const std::size_t slash = path.find('/');
    const std::string_view component = path.substr(0, slash);
    if (component.empty() || component == "." || component == ".." || component.size() > 255) return false;
    if (slash == std::string_view::npos) return true;
    path.remove_prefix(slash + 1);
  }
}

bool is_safe_link(Type type, std::string_view link) {
  if (type == Type::kHardLink) return is_safe_path(link);
  if (type == Type::kSymlink)
    return !link.empty() && link.size() <= kLongestTarget && link.find('\0') == std::string_view::npos;
  return link.empty();
}

bool is_moved_attribute(std::string_view name) {
  constexpr std::array<std::string_view, 5> kLabels = {"selinux", "SMACK64", "apparmor", "ima", "evm"};
  if (name.find('\0') != std::string_view::npos) return false;
  if (name == "system.posix_acl_access" || name == "system.posix_acl_default") return true;
  const std::size_t dot = name.find('.');
  if (dot == std::string_view::npos || dot + 1 == name.size()) return false;
  const std::string_view rest = name.substr(dot + 1);
  name = name.substr(0, dot);
  if (name != "security") return name == "user" || name == "trusted";
  return std::none_of(kLabels.begin(), kLabels.end(), [&](std::string_view label) { return rest.starts_with(label); });
}

std::size_t encoded_size(const Entry& entry) {
  std::size_t bytes = kEntryFixed + entry.path.size() + entry.link.size();
  for (const Attribute& attribute : entry.attributes) bytes += 8 + attribute.name.size() + attribute.value.size();
  return bytes;
}

std::vector<std::byte> encode_page(const Page& page) {
  std::vector<std::byte> bytes;
  bytes.reserve(kPageHead + kChecksum + page.entries.size() * (kEntryFixed + 64));
  base::Writer writer(bytes);
  writer.put(kPageMagic);
  writer.put(page.number);
  writer.put(page.first);
  writer.put(static_cast<std::uint8_t>(page.last ? 1 : 0));
  writer.put(static_cast<std::uint32_t>(page.entries.size()));
  for (const Entry& entry : page.entries) {
    writer.put_string(entry.path);
    writer.put(static_cast<std::uint8_t>(entry.type));
    writer.put(entry.size);
    writer.put(static_cast<std::uint8_t>((entry.open_ended ? kOpenEnded : 0U) | (entry.digest ? kHasDigest : 0U) |
                                         (entry.sparse ? kSparse : 0U) | (entry.several ? kSeveral : 0U)));
    writer.put(entry.error_number);
    writer.put(entry.mode);
    writer.put(entry.uid);
    writer.put(entry.gid);
    put_time(writer, entry.mtime);
    put_time(writer, entry.ctime);
    writer.put(entry.inode);
    writer.put(entry.device);
    writer.put_string(entry.link);
    put_attributes(writer, entry.attributes);
    if (entry.digest) {
      writer.put(entry.digest->low);
      writer.put(entry.digest->high);
    }
  }
  append_checksum(bytes);
  return bytes;
}

std::optional<Page> decode_page(std::span<const std::byte> bytes, std::string& why) {
  const auto body = without_checksum(bytes);
  if (!body) {
    why = "a manifest page was damaged on its way";
    return std::nullopt;
  }
  base::Reader reader(*body);
  if (reader.get<std::uint32_t>() != kPageMagic) {
    why = "a manifest page is of another kind";
    return std::nullopt;
  }
  Page page;
  page.number = reader.get<std::uint64_t>();
  page.first = reader.get<std::uint64_t>();
  const auto last = reader.get<std::uint8_t>();
  page.last = last == 1;
  const auto count = reader.get<std::uint32_t>();
  if (!reader.ok() || last > 1 || count > kEntriesAPage || (page.last && count > 0)) {
    why = "a manifest page's head is impossible";
    return std::nullopt;
  }
  page.entries.resize(count);
  for (Entry& entry : page.entries) {
    const std::string wrong = get_entry(reader, entry);
    if (!wrong.empty()) {
      why = "a manifest page is refused: " + wrong;
      return std::nullopt;
    }
  }
  if (reader.left() != 0) {
    why = "a manifest page is longer than its entries";
    return std::nullopt;
  }
  return page;
}

std::int64_t part_size(std::int64_t size) {
  constexpr std::int64_t kPartsAFile = 512;
  std::int64_t part = base::kLeafSize;
  while (size / part >= kPartsAFile) part *= 2;
  return part;
}

Ranges Held::ranges() const {
  Ranges all;
  for (const Part& part : parts) all.add(part.range);
  return all;
}

std::vector<Part> common(const std::vector<Part>& a, const std::vector<Part>& b) {
  std::vector<Part> both;
  auto other = b.begin();
  for (const Part& part : a) {
    while (other != b.end() && other->range.begin < part.range.begin) ++other;
    if (other != b.end() && *other == part) both.push_back(part);
  }
  return both;
}

Answer combine(const Answer& a, const Answer& b) {
  Answer both;
  both.page = a.page;
  both.wanted.resize(a.wanted.size());
  static const std::vector<Part> kNone;
  const auto held_in = [](const Answer& answer, std::size_t i) -> const std::vector<Part>& {
    const auto at = std::lower_bound(answer.held.begin(), answer.held.end(), i,
                                     [](const Held& held, std::size_t entry) { return held.entry < entry; });
    return at != answer.held.end() && at->entry == i ? at->parts : kNone;
  };
  for (std::size_t i = 0; i < a.wanted.size(); ++i) {
    both.wanted[i] = a.wanted[i] || b.wanted[i];
    if (!both.wanted[i]) continue;
    // Whoever wants none of a file holds all of it.
    std::vector<Part> parts = !a.wanted[i]   ? held_in(b, i)
                              : !b.wanted[i] ? held_in(a, i)
                                             : common(held_in(a, i), held_in(b, i));
    if (!parts.empty()) both.held.push_back({static_cast<std::uint32_t>(i), std::move(parts)});
  }
  return both;
}

std::vector<std::byte> encode_answer(const Answer& answer) {
  std::vector<std::byte> bytes;
  base::Writer writer(bytes);
  writer.put(kAnswerMagic);
  writer.put(answer.page);
  writer.put(static_cast<std::uint32_t>(answer.wanted.size()));
  for (std::size_t i = 0; i < answer.wanted.size(); i += 8) {
    std::uint8_t bits = 0;
    for (std::size_t bit = 0; bit < 8 && i + bit < answer.wanted.size(); ++bit) {
      if (answer.wanted[i + bit]) bits = static_cast<std::uint8_t>(bits | (1U << bit));
    }
    writer.put(bits);
  }
  std::size_t parts = 0;
  std::size_t entries = 0;
  while (entries < answer.held.size() && parts + answer.held[entries].parts.size() <= kPartsAnAnswer) {
    parts += answer.held[entries++].parts.size();
  }
  writer.put(static_cast<std::uint32_t>(entries));
  for (std::size_t i = 0; i < entries; ++i) {
    const Held& held = answer.held[i];
    writer.put(held.entry);
    writer.put(static_cast<std::uint32_t>(held.parts.size()));
    for (const Part& part : held.parts) {
      writer.put(part.range.begin);
      writer.put(part.range.end);
      writer.put(part.digest.low);
      writer.put(part.digest.high);
    }
  }
  append_checksum(bytes);
  return bytes;
}

std::optional<Answer> decode_answer(std::span<const std::byte> bytes) {
  const auto body = without_checksum(bytes);
  if (!body) return std::nullopt;
  base::Reader reader(*body);
  if (reader.get<std::uint32_t>() != kAnswerMagic) return std::nullopt;
  Answer answer;
  answer.page = reader.get<std::uint64_t>();
  const auto count = reader.get<std::uint32_t>();
  if (!reader.ok() || count > kEntriesAPage || reader.left() < (count + 7) / 8) return std::nullopt;
  answer.wanted.resize(count);
  for (std::size_t i = 0; i < count; i += 8) {
    const auto bits = reader.get<std::uint8_t>();
    for (std::size_t bit = 0; bit < 8 && i + bit < count; ++bit) answer.wanted[i + bit] = ((bits >> bit) & 1U) != 0;
  }
  if (!get_held(reader, answer)) return std::nullopt;
  return answer;
}

}  // namespace argosy::core
