// What an origin answers, before its body: status and header fields, and the meaning of those that matter here. All of
// it is hostile until it has been looked at; parsing gives nothing rather than something half right.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "http/checksum.h"

namespace argosy::http {

struct Answer {
  int status = 0;
  std::vector<std::pair<std::string, std::string>> fields;  // names in lower case, in the order they came

  // The first field of that name (in lower case), or nothing.
  std::optional<std::string> field(std::string_view name) const;
  // Several fields of one name are one list, joined by ", " (RFC 9110, 5.3).
  std::string all(std::string_view name) const;
};

// By what an object is known to be the same one. Empty: nothing is known.
struct Pin {
  std::string etag;           // strong ones only
  std::string last_modified;  // as it was written; used where there is no strong ETag
  std::int64_t size = -1;     // -1: not known
  std::string weak_etag;      // promises nothing where it is the same; where it differs the bytes may, too

  // Something besides the size by which a change shows.
  bool is_strong() const { return !etag.empty() || !last_modified.empty(); }
  friend bool operator==(const Pin&, const Pin&) = default;
};

// What is known of an object besides its size, as text to be kept: the same for the same version of it, and by which it
// can be asked for with If-Range, which takes no weak ETag, nor a time beside one (RFC 9110, 13.1.5). Empty where
// nothing is known, or it is too long.
std::string to_text(const Pin& pin);
// The inverse; nothing where the text is none, or has what no answer can have had.
std::optional<Pin> pin_from_text(std::string_view text, std::int64_t size);
// For If-Range; empty: there is nothing that it takes.
std::string if_range_of(const Pin& pin);

struct ContentRange {
  std::int64_t first = 0;
  std::int64_t last = 0;
  std::int64_t size = -1;  // of the whole; -1: "*"
};

// "bytes 0-499/1234", "bytes 0-499/*".
std::optional<ContentRange> parse_content_range(std::string_view text);
// The size in "bytes */1234", as a 416 has it.
std::optional<std::int64_t> parse_unsatisfied_range(std::string_view text);

// The ETag where it is strong (RFC 9110, 8.8.3), else empty.
std::string strong_etag(const Answer& answer);
// What of `answer` pins the object: a Last-Modified only where it is older than the answer by a second, as another
// version may have been made within the same (RFC 9110, 8.8.2.2); the size is what `Content-Length` or `Content-Range`
// says of the whole.
Pin pin_of(const Answer& answer);
// Empty where `answer` may be about the object of `pin`; else what differs.
std::string mismatch(const Pin& pin, const Pin& answer);

// The name in Content-Disposition (RFC 6266; filename* before filename), as the origin wrote it.
std::optional<std::string> proposed_name(const Answer& answer);

// Seconds that the origin asks to wait: Retry-After as seconds or date, else RateLimit fields with nothing remaining
// (the IETF's drafts, and the X- names before them). `now` in seconds since 1970.
std::optional<double> wait_asked(const Answer& answer, std::int64_t now);

// Repr-Digest (of the whole object) or Content-Digest (of this body), RFC 9530, of algorithms known here. `field` in
// lower case.
std::vector<Checksum> digests(const Answer& answer, std::string_view field);

// Seconds since 1970 of an HTTP date, such as Last-Modified's.
std::optional<std::int64_t> parse_date(const std::string& text);

}  // namespace argosy::http
