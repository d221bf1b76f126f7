#include "command/fetch_receiver.h"

#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <utility>

#include "base/digest.h"
#include "core/chunk.h"

namespace argosy::command {

std::optional<Refusal> refuse(const Item& item, const http::Answer& answer, bool& whole) {
  using Kind = Outcome::Kind;
  const std::string encoding = answer.all("content-encoding");
  if (!encoding.empty() && encoding != "identity") {
    return Refusal{Kind::kRefused, "the origin encodes the body (" + encoding + "), although it was asked not to"};
  }
  const http::Pin pin = http::pin_of(answer);
  whole = answer.status == 200 || answer.status == 203;
  if (whole) {
    if (item.length > 0 && item.pin.size >= 0) {
      // It may have been asked with a precondition that it does not know, and be another object.
      const std::string differs = http::mismatch(item.pin, pin);
      if (!differs.empty() && pin.size >= 0) return Refusal{Kind::kChanged, differs};
      return Refusal{Kind::kNoRange, "the origin gave ranges first, and then the whole"};
    }
    return std::nullopt;
  }
  if (answer.status != 206) return Refusal{Kind::kRefused, fmt::format("the origin answers {}", answer.status)};
  const auto range = http::parse_content_range(answer.field("content-range").value_or(""));
  if (item.length == 0 || !range || range->first != item.first || range->last > item.first + item.length - 1) {
    return Refusal{Kind::kNoRange, "the origin answers with another range than it was asked for"};
  }
  if (const std::string differs = http::mismatch(item.pin, pin); !differs.empty()) {
    return Refusal{Kind::kChanged, differs};
  }
  return std::nullopt;
}

bool FetchWorker::Receiver::begin(const http::Answer& answer) {
  refusal_ = refuse(item_, answer, outcome_.whole);
  if (refusal_) return false;
  outcome_.pin = http::pin_of(answer);
  // An origin that does not look at If-None-Match.
  in_place_ = !item_.if_none_match.empty() && outcome_.pin.etag == item_.if_none_match &&
              (outcome_.pin.size < 0 || outcome_.pin.size == item_.size_in_place);
  if (in_place_) return false;
  seat_.size = outcome_.pin.size;
  outcome_.name = http::proposed_name(answer).value_or("");
  outcome_.checksums = http::digests(answer, "repr-digest");
  if (const auto modified = answer.field("last-modified")) outcome_.modified = http::parse_date(*modified);
  expected_ = -1;
  if (outcome_.whole) {
    expected_ = outcome_.pin.size;
  } else if (const auto range = http::parse_content_range(answer.field("content-range").value_or(""))) {
    expected_ = range->last - range->first + 1;
  }
  auto content = http::digests(answer, "content-digest");
  // Standard output takes no bytes that are not known to be right, and those of a long range are under way before its
  // end: of an object that comes in one piece all can be held back.
  if (task_.waits && !outcome_.whole && !content.empty() && expected_ >= worker_.settings_.chunk_size) {
    refusal_ = Refusal{Outcome::Kind::kNoRange, "the origin tells digests of its ranges"};
    return false;
  }
  // What is said of the whole object can be checked here where all of it comes in one piece.
  if (outcome_.whole && content.empty()) content = outcome_.checksums;
  if (const http::Checksum* checksum = http::strongest(content)) {
    content_digest_ = *checksum;
    hasher_.emplace(checksum->algorithm);
  }
  // A body that may not fit what is left of the slot begins a new one, where its leaves lie as in the file.
  const std::int64_t room = worker_.settings_.chunk_size - seat_.payload;
  const bool records_full = seat_.records.size() >= core::kExtentsAChunk;
  if (seat_.slot && (expected_ < 0 || expected_ > room || records_full)) worker_.flush(seat_);
  if (task_.waits && outcome_.whole) seat_.words.emplace_back(Begun{item_.entry, content});
  begun_ = true;
  return true;
}

bool FetchWorker::Receiver::take(std::span<const std::byte> bytes) {
  if (!worker_.wait_for_rate(seat_, bytes.size())) return false;
  if (expected_ >= 0 && static_cast<std::int64_t>(bytes.size()) > expected_ - received_) {
    refusal_ = Refusal{Outcome::Kind::kRefused, "the origin sends more than it said it would"};
    return false;
  }
  if (hasher_) hasher_->add(bytes);
  received_ += static_cast<std::int64_t>(bytes.size());
  while (!bytes.empty()) {
    if (!room()) return false;
    const auto left = static_cast<std::size_t>(worker_.settings_.chunk_size) - seat_.payload - open_;
    const auto part = bytes.first(std::min(left, bytes.size()));
    std::copy(part.begin(), part.end(), payload().begin() + static_cast<std::ptrdiff_t>(seat_.payload + open_));
    open_ += part.size();
    bytes = bytes.subspan(part.size());
    if (open_ + seat_.payload == static_cast<std::size_t>(worker_.settings_.chunk_size)) close_record(open_);
  }
  seat_.bytes = received_;
  return true;
}

Outcome FetchWorker::Receiver::finish(http::Result& result, double seconds) {
  using Kind = Outcome::Kind;
  outcome_.task = task_.id;
  outcome_.entry = item_.entry;
  outcome_.first = item_.first;
  outcome_.seconds = seconds;
  outcome_.status = result.answer.status;
  outcome_.hops = std::move(result.hops);
  outcome_.message = result.message;
  outcome_.location = std::move(result.location);
  outcome_.redirects = result.redirects;
  outcome_.wait = http::wait_asked(result.answer, std::time(nullptr));
  const int status = outcome_.status;
  if (result.end == http::Result::End::kComplete && begun_) {
    outcome_.kind = Kind::kDone;
    if (expected_ >= 0 && received_ < expected_) {
      outcome_.kind = Kind::kBroken;
      outcome_.message = "the origin closes early";
    } else if (hasher_ && hasher_->finish() != content_digest_) {
      refusal_ = Refusal{Kind::kChanged, "its content (by the digest in its answer)"};
    }
  } else if (result.end == http::Result::End::kComplete) {
    outcome_.kind = status == 304 ? Kind::kNotModified : Kind::kStatus;
  } else if (result.end == http::Result::End::kStopped) {
    outcome_.kind = in_place_ ? Kind::kNotModified : Kind::kCut;
  } else if (result.end == http::Result::End::kElsewhere) {
    outcome_.kind = Kind::kElsewhere;
  } else {
    outcome_.kind = result.end == http::Result::End::kTransient ? Kind::kBroken : Kind::kRefused;
  }
  if (refusal_) {
    outcome_.kind = refusal_->kind;
    outcome_.message = refusal_->why;
  }
  const bool usable = outcome_.kind == Kind::kDone || outcome_.kind == Kind::kBroken || outcome_.kind == Kind::kCut;
  const bool complete = outcome_.kind == Kind::kDone;
  // Of a body that is gone on with by another request only whole leaves count: digests are of these.
  const std::size_t leaf = static_cast<std::size_t>(base::kLeafSize);
  const bool at_end = outcome_.whole || item_.first + received_ == outcome_.pin.size;
  close_record(!usable ? 0 : complete && at_end ? open_ : open_ / leaf * leaf);
  if (!usable || !begun_) {
    outcome_.got = 0;
    outcome_.digest = {};
  }
  if (!begun_) outcome_.whole = false;
  // Half a head is no answer.
  if (!begun_ && (outcome_.kind == Kind::kBroken || outcome_.kind == Kind::kCut)) outcome_.status = 0;
  if (worker_.setup_.all_fields) outcome_.fields = std::move(result.answer.fields);
  return std::move(outcome_);
}

std::span<std::byte> FetchWorker::Receiver::payload() const {
  return core::payload_of(worker_.pool_.bytes(*seat_.slot), worker_.settings_.chunk_size);
}

bool FetchWorker::Receiver::room() {
  if (seat_.slot) return true;
  // Behind its first chunk a body without a known end waits until its turn to be written out.
  const bool waits = task_.waits && outcome_.whole && outcome_.got > 0;
  if (waits && !worker_.wait_for_grant(seat_, item_.entry)) return false;
  seat_.slot = worker_.wait_for_slot(seat_);
  return seat_.slot.has_value();
}

void FetchWorker::Receiver::close_record(std::size_t keep) {
  if (!seat_.slot) return;
  if (keep > 0) {
    core::Record record;
    record.entry = item_.entry;
    record.offset = item_.first + outcome_.got;
    record.length = static_cast<std::int64_t>(keep);
    record.digest = base::digest_of(payload().subspan(seat_.payload, keep), record.offset);
    outcome_.digest += record.digest;
    outcome_.got += record.length;
    seat_.records.push_back(record);
    seat_.payload += static_cast<std::uint32_t>(keep);
  }
  open_ = 0;
  if (seat_.payload == static_cast<std::size_t>(worker_.settings_.chunk_size)) worker_.flush(seat_);
}

}  // namespace argosy::command
