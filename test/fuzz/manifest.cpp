// Manifest pages and the answers to them, without their checksum.
#include <algorithm>
#include <string>

#include "check.h"
#include "core/manifest.h"

namespace argosy {
namespace {

using core::Entry;
using core::Type;
using fuzz::require;

void look_at(const Entry& entry) {
  require(fuzz::leads_nowhere_else(entry.path), "a path stays beneath the destination");
  require(entry.path.size() <= core::kLongestPath, "a path has its limit");
  require(entry.size >= core::kMissing && entry.size <= core::kLargestFile, "a size is one that a file can have");
  require(entry.size <= 0 || entry.type == Type::kFile, "only a file has a size");
  require(!entry.open_ended || (entry.type == Type::kFile && entry.size == 0), "only a file may be open-ended");
  require(entry.error_number >= 0 && entry.mode <= 07777, "metadata is possible");
  for (const core::Timestamp& time : {entry.mtime, entry.ctime})
    require(time.nanoseconds >= 0 && time.nanoseconds < 1'000'000'000, "a time is one");
  if (entry.type == Type::kHardLink) {
    require(fuzz::leads_nowhere_else(entry.link), "a hard link stays beneath the destination");
  } else if (entry.type == Type::kSymlink) {
    require(!entry.link.empty() && entry.link.find('\0') == std::string::npos, "a symbolic link leads somewhere");
  } else {
    require(entry.link.empty(), "only a link has a target");
  }
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < entry.attributes.size(); ++i) {
    const core::Attribute& one = entry.attributes[i];
    require(!one.name.empty() && one.name.size() <= 255 && one.name.find('\0') == std::string::npos,
            "an attribute has a name");
    require(i == 0 || entry.attributes[i - 1].name < one.name, "attributes are in order, each once");
    bytes += one.name.size() + one.value.size();
  }
  require(bytes <= core::kAttributeBytes, "attributes have their limit");
}

void look_at_page(std::span<const std::byte> bytes) {
  std::string why;
  const auto page = core::decode_page(bytes, why);
  require(page.has_value() || !why.empty(), "what is refused says why");
  if (!page) return;
  require(page->entries.size() <= core::kEntriesAPage, "a page has its limit");
  require(!page->last || page->entries.empty(), "the last page is empty");
  std::size_t most = 64;
  for (const Entry& entry : page->entries) {
    look_at(entry);
    most += core::encoded_size(entry);
  }
  require(bytes.size() <= most, "encoded_size is not too little");
  require(std::ranges::equal(core::encode_page(*page), bytes), "a page has one encoding");
}

bool same(const core::Answer& a, const core::Answer& b) {
  return a.page == b.page && a.wanted == b.wanted &&
         std::ranges::equal(a.held, b.held, [](const core::Held& one, const core::Held& two) {
           return one.entry == two.entry && one.parts == two.parts;
         });
}

void look_at_answer(std::span<const std::byte> bytes) {
  const auto answer = core::decode_answer(bytes);
  if (!answer) return;
  require(answer->wanted.size() <= core::kEntriesAPage && bytes.size() <= core::kAnswerBytes,
          "an answer has its limit");
  for (std::size_t i = 0; i < answer->held.size(); ++i) {
    const core::Held& held = answer->held[i];
    require(answer->wanted.at(held.entry) && !held.parts.empty(), "what is held is of a wanted entry");
    require(i == 0 || answer->held[i - 1].entry < held.entry, "what is held is in order");
    std::int64_t at = 0;
    for (const core::Part& part : held.parts) {
      const core::Range& range = part.range;
      require(range.begin >= at && range.begin < range.end && range.begin % base::kLeafSize == 0,
              "parts are in order and do not overlap");
      at = range.end;
    }
  }
  const auto again = core::decode_answer(core::encode_answer(*answer));
  require(again && same(*again, *answer), "an answer comes back as it was");
  require(same(core::combine(*answer, *answer), *answer), "two of one mind want what one wants");
  core::Answer nothing{answer->page, std::vector<bool>(answer->wanted.size())};
  require(same(core::combine(*answer, nothing), *answer) && same(core::combine(nothing, *answer), *answer),
          "who wants nothing changes nothing");
}

}  // namespace
}  // namespace argosy

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto input = std::as_bytes(std::span(data, size));
  argosy::look_at_page(input);
  argosy::look_at_answer(input);
  const auto bytes = argosy::fuzz::sealed(input);
  argosy::look_at_page(bytes);
  argosy::look_at_answer(bytes);
  return 0;
}
