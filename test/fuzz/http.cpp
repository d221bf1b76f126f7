// What origins and lists say: Content-Range, ETag, Content-Disposition, digests, Retry-After, addresses, and lists as
// text or Metalink. An input's first byte says which.
#include <string>
#include <utility>

#include "base/error.h"
#include "check.h"
#include "http/answer.h"
#include "http/list.h"
#include "http/name.h"
#include "http/url.h"

namespace argosy {
namespace {

using fuzz::require;

void look_at_name(const std::string& name) {
  require(fuzz::leads_nowhere_else(name) && name.find('/') == std::string::npos, "a name is one");
  require(fuzz::leads_nowhere_else(http::numbered(name, 17)), "a name with a number is one");
}

void look_at_range(std::string_view text) {
  if (const auto range = http::parse_content_range(text)) {
    require(range->first >= 0 && range->first <= range->last, "a range has bytes");
    require(range->size == -1 || range->last < range->size, "a range lies in its object");
    const std::string again = "bytes " + std::to_string(range->first) + "-" + std::to_string(range->last) + "/" +
                              (range->size < 0 ? "*" : std::to_string(range->size));
    const auto back = http::parse_content_range(again);
    require(back && back->first == range->first && back->last == range->last && back->size == range->size,
            "a range comes back");
  }
  if (const auto size = http::parse_unsatisfied_range(text)) require(*size >= 0, "a size is one");
}

// A head: lines "name: value".
void look_at_answer(std::string_view text) {
  http::Answer answer;
  answer.status = 206;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos) continue;
    answer.fields.emplace_back(line.substr(0, colon), line.substr(colon + 1));
  }
  const http::Pin pin = http::pin_of(answer);
  require(pin.size >= -1, "a size is one");
  require(pin.etag == http::strong_etag(answer), "only a strong ETag pins");
  require(http::mismatch(pin, pin).empty(), "nothing differs from itself");
  if (const auto name = http::proposed_name(answer)) look_at_name(http::safe_name(*name));
  if (const auto wait = http::wait_asked(answer, 1'700'000'000)) require(*wait >= 0, "a time to wait is one");
  for (const char* field : {"repr-digest", "content-digest"}) {
    for (const http::Checksum& one : http::digests(answer, field)) {
      require(http::is_known(one.algorithm) && !one.value.empty(), "a digest can be computed");
      require(http::parse_checksum(http::to_string(one)) == one, "a digest comes back");
    }
  }
}

void look_at_list(const std::string& text) {
  try {
    for (const http::Wanted& one : http::parse_list(text, "list")) {
      require(!one.urls.empty() && one.size >= -1, "what is wanted is somewhere");
      if (!one.name.empty()) look_at_name(one.name);
      require(one.pieces.length >= 0 && (one.pieces.length > 0 || one.pieces.checksums.empty()),
              "pieces have a length");
    }
  } catch (const base::Error& error) {
    require(error.failure().kind == base::Kind::kUsage, "a list that is none is wrong usage");
  }
}

void look_at_url(const std::string& text) {
  try {
    const http::Url url = http::parse_url(text);
    require(url.text.starts_with(url.secure ? "https://" : "http://"), "an address has its scheme");
    require(url.origin.find('@') == std::string::npos && !url.host.empty(), "a host is no user");
    require(http::parse_url(url.text).origin == url.origin, "an address comes back");
    look_at_name(http::safe_name(http::last_part(url)));
  } catch (const base::Error& error) {
    require(error.failure().kind == base::Kind::kUsage, "an address that is none is wrong usage");
  }
}

}  // namespace
}  // namespace argosy

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace argosy;
  fuzz::Parts parts(std::as_bytes(std::span(data, size)));
  const std::uint8_t kind = parts.byte();
  const std::string text(fuzz::text_of(parts.rest()));
  switch (kind % 5) {
    case 0:
      look_at_range(text);
      static_cast<void>(http::parse_date(text));
      break;
    case 1:
      look_at_answer(text);
      break;
    case 2:
      look_at_list(text);
      break;
    case 3:
      look_at_url(text);
      static_cast<void>(http::without_credentials(text));
      break;
    default:
      look_at_name(http::safe_name(text));
  }
  return 0;
}
