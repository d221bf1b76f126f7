#include "command/fetch_wire.h"

#include <bit>
#include <concepts>
#include <type_traits>
#include <utility>

#include "base/bytes.h"

namespace argosy::command {

namespace {

constexpr std::size_t kLongestText = 16 << 20;

template <typename T, typename U>
concept Is = std::same_as<std::remove_const_t<T>, U>;
template <typename T>
concept Number = std::integral<T> && !std::same_as<T, bool>;

// Writes what pass() shows it.
class Sender {
 public:
  explicit Sender(std::vector<std::byte>& out) : writer_(out) {}
  void operator()(const auto&... values) { (put(values), ...); }

 private:
  void put(Number auto value) { writer_.put(value); }
  void put(bool value) { writer_.put(static_cast<std::uint8_t>(value ? 1 : 0)); }
  void put(double value) { writer_.put(std::bit_cast<std::uint64_t>(value)); }
  void put(Outcome::Kind kind) { writer_.put(static_cast<std::uint8_t>(kind)); }
  void put(base::Kind kind) { writer_.put(static_cast<std::int32_t>(kind)); }
  void put(const std::string& text) { writer_.put_string(text); }
  template <typename T>
  void put(const std::vector<T>& list) {
    writer_.put(static_cast<std::uint32_t>(list.size()));
    for (const T& one : list) put(one);
  }
  template <typename T>
  void put(const std::optional<T>& value) {
    put(value.has_value());
    if (value) put(*value);
  }
  void put(const std::pair<std::string, std::string>& pair) { (*this)(pair.first, pair.second); }
  template <typename T>
  requires std::is_class_v<T>
  void put(const T& one) { pass(*this, one); }

  base::Writer writer_;
};

// Reads into what pass() shows it.
class Taker {
 public:
  explicit Taker(std::span<const std::byte> in) : reader_(in) {}
  bool ok() const { return ok_ && reader_.ok() && reader_.left() == 0; }
  void operator()(auto&... values) { (take(values), ...); }

 private:
  template <Number T>
  void take(T& value) {
    value = reader_.get<T>();
  }
  void take(bool& value) {
    const auto byte = reader_.get<std::uint8_t>();
    ok_ = ok_ && byte <= 1;
    value = byte == 1;
  }
  void take(double& value) {
    value = std::bit_cast<double>(reader_.get<std::uint64_t>());
    ok_ = ok_ && value == value;
  }
  void take(Outcome::Kind& kind) {
    const auto value = reader_.get<std::uint8_t>();
    ok_ = ok_ && value <= static_cast<std::uint8_t>(Outcome::Kind::kRefused);
    if (ok_) kind = static_cast<Outcome::Kind>(value);
  }
  void take(base::Kind& kind) {
    const auto value = reader_.get<std::int32_t>();
    ok_ = ok_ && value >= 0 && value <= static_cast<std::int32_t>(base::Kind::kOrigin);
    if (ok_) kind = static_cast<base::Kind>(value);
  }
  void take(std::string& text) { text = reader_.get_string(kLongestText); }
  template <typename T>
  void take(std::vector<T>& list) {
    const auto count = reader_.get<std::uint32_t>();
    // Each takes a byte at least: a damaged count does not fill the memory.
    ok_ = ok_ && count <= reader_.left();
    for (std::uint32_t i = 0; i < count && ok_ && reader_.ok(); ++i) take(list.emplace_back());
  }
  template <typename T>
  void take(std::optional<T>& value) {
    bool has = false;
    take(has);
    if (has && ok_) take(value.emplace());
  }
  void take(std::pair<std::string, std::string>& pair) { (*this)(pair.first, pair.second); }
  template <typename T>
  requires std::is_class_v<T>
  void take(T& one) { pass(*this, one); }

  base::Reader reader_;
  bool ok_ = true;
};

// What is in each, in its order on the wire.
void pass(auto& way, Is<base::Digest> auto& one) { way(one.low, one.high); }
void pass(auto& way, Is<http::Settings> auto& one) { way(one.headers, one.certificates, one.insecure, one.timeout); }
void pass(auto& way, Is<http::Pin> auto& one) { way(one.etag, one.weak_etag, one.last_modified, one.size); }
void pass(auto& way, Is<http::Checksum> auto& one) { way(one.algorithm, one.value); }
void pass(auto& way, Is<http::Pieces> auto& one) { way(one.length, one.checksums); }
void pass(auto& way, Is<http::Hop> auto& one) { way(one.host, one.status, one.bytes); }
void pass(auto& way, Is<Setup> auto& one) { way(one.http, one.all_fields, one.rate); }
void pass(auto& way, Is<Look> auto& one) { way(one.id, one.first, one.proposed, one.sought); }
void pass(auto& way, Is<Sought> auto& one) { way(one.name, one.checksums, one.pieces); }
void pass(auto& way, Is<Item> auto& one) {
  way(one.entry, one.url, one.location, one.redirects, one.first, one.length, one.if_none_match, one.size_in_place,
      one.pin, one.if_range);
}
void pass(auto& way, Is<Task> auto& one) { way(one.id, one.seat, one.host, one.waits, one.items); }
void pass(auto& way, Is<Cut> auto& one) { way(one.task); }
void pass(auto& way, Is<Pause> auto& one) { way(one.host, one.seconds); }
void pass(auto& way, Is<Speed> auto& one) { way(one.rate); }
void pass(auto& way, Is<Grant> auto& one) { way(one.entry); }
void pass(auto& way, Is<End> auto& one) {
  way(one.entry, one.name, one.size, one.digest, one.etag, one.source, one.modified, one.checksums, one.pieces);
}
void pass(auto& way, Is<Discard> auto& one) { way(one.entry, one.stays); }
void pass(auto& way, Is<Finished> auto& one) { way(one.counts); }
void pass(auto& way, Is<core::Range> auto& one) { way(one.begin, one.end); }
void pass(auto& way, Is<core::Part> auto& one) { way(one.range, one.digest); }
void pass(auto& way, Is<Pinned> auto& one) { way(one.entry, one.size, one.key, one.goes_on, one.in_place); }
void pass(auto& way, Is<Keep> auto& one) { way(one.entry, one.parts); }
void pass(auto& way, Is<Unfinished> auto& one) { way(one.index, one.size, one.key, one.gap); }
void pass(auto& way, Is<Held> auto& one) { way(one.entry, one.lacks_nothing, one.parts); }
void pass(auto& way, Is<Existing> auto& one) { way(one.index, one.size, one.etag, one.source); }
void pass(auto& way, Is<Looked> auto& one) { way(one.id, one.existing, one.unfinished); }
void pass(auto& way, Is<Outcome> auto& one) {
  way(one.kind, one.task, one.entry, one.first, one.got, one.digest, one.whole, one.status, one.pin, one.name,
      one.checksums, one.modified, one.wait, one.message, one.location, one.redirects, one.seconds, one.hops,
      one.fields);
}
void pass(auto& way, Is<Begun> auto& one) { way(one.entry, one.checksums); }
void pass(auto& way, Is<TaskEnd> auto& one) { way(one.task, one.messages); }
void pass(auto& way, Is<Standing> auto& one) { way(one.task, one.entry, one.first, one.bytes, one.size); }
void pass(auto& way, Is<Receipt> auto& one) { way(one.entry, one.kind, one.message); }

// A byte says which kind it is.
template <typename Kinds>
std::vector<std::byte> encode_any(const Kinds& kinds) {
  std::vector<std::byte> bytes;
  Sender sender(bytes);
  sender(static_cast<std::uint8_t>(kinds.index()));
  std::visit([&sender](const auto& one) { sender(one); }, kinds);
  return bytes;
}

template <typename Kinds, std::size_t kIndex = 0>
std::optional<Kinds> decode_as(std::size_t index, std::span<const std::byte> bytes) {
  if constexpr (kIndex == std::variant_size_v<Kinds>) {
    return std::nullopt;
  } else {
    if (index != kIndex) return decode_as<Kinds, kIndex + 1>(index, bytes);
    std::variant_alternative_t<kIndex, Kinds> one;
    Taker taker(bytes);
    taker(one);
    if (!taker.ok()) return std::nullopt;
    return Kinds(std::move(one));
  }
}

template <typename Kinds>
std::optional<Kinds> decode_any(std::span<const std::byte> bytes) {
  if (bytes.empty()) return std::nullopt;
  return decode_as<Kinds>(std::to_integer<std::size_t>(bytes[0]), bytes.subspan(1));
}

}  // namespace

std::vector<std::byte> encode(const Order& order) { return encode_any(order); }
std::vector<std::byte> encode(const Word& word) { return encode_any(word); }
std::optional<Order> decode_order(std::span<const std::byte> bytes) { return decode_any<Order>(bytes); }
std::optional<Word> decode_word(std::span<const std::byte> bytes) { return decode_any<Word>(bytes); }

}  // namespace argosy::command
