#include "core/stripe_manifest.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <set>
#include <span>
#include <stdexcept>

#include "base/error.h"

namespace argosy::core {

namespace {

using nlohmann::json;

constexpr int kVersion = 1;
constexpr std::size_t kGenerationDigits = 32;
constexpr int kDeepest = 8;  // of what argosy writes: 3

std::string to_hex(std::string_view bytes) {
  std::string text;
  for (const char c : bytes) text += fmt::format("{:02x}", static_cast<unsigned char>(c));
  return text;
}

std::string from_hex(std::string_view text) {
  std::string bytes;
  if (text.size() % 2 != 0) throw std::invalid_argument("an odd number of digits");
  for (std::size_t at = 0; at < text.size(); at += 2) {
    unsigned value = 0;
    const auto parsed = std::from_chars(text.data() + at, text.data() + at + 2, value, 16);
    if (parsed.ptr != text.data() + at + 2) throw std::invalid_argument("no hexadecimal digits");
    bytes += static_cast<char>(value);
  }
  return bytes;
}

std::string checksum(const json& document) {
  const std::string text = document.dump();
  const auto bytes = std::as_bytes(std::span(text));
  return base::to_string(base::close_digest(base::digest_of(bytes, 0), static_cast<std::int64_t>(text.size())));
}

json content(const StripeManifest& manifest) {
  const Stripe stripe = manifest.stripe();
  json document = {
      {"format", "argosy stripe"},
      {"version", kVersion},
      {"kind", manifest.tree ? "folder" : "file"},
      {"name", base::utf8_or_replacement(manifest.file.path)},
      {"size", manifest.file.size},
      {"mode", manifest.file.mode},
      {"uid", manifest.file.uid},
      {"gid", manifest.file.gid},
      {"mtime", {{"seconds", manifest.file.mtime.seconds}, {"nanoseconds", manifest.file.mtime.nanoseconds}}},
      {"digest", base::to_string(manifest.digest)},
      {"generation", manifest.generation},
      {"created", manifest.created},
      {"chunk_size", manifest.chunk_size},
      {"chunks", stripe.chunks()},
      {"layout", manifest.layout == StripeLayout::kStripe ? "stripe" : "chunks"},
      {"dealing", {{"rule", "round-robin"}, {"workers", manifest.workers}, {"moved", manifest.moved}}},
      {"parity", {{"code", "reed-solomon-cauchy"}, {"data", stripe.data()}, {"parity", manifest.parity}}},
      {"losses", manifest.losses},
      {"table", {{"rows", stripe.rows()}, {"digest", base::to_string(manifest.table_digest)}}}};
  if (!base::is_utf8(manifest.file.path)) document["name_hex"] = to_hex(manifest.file.path);
  if (manifest.signature) {
    document["signature"] = {{"entries", base::to_string(manifest.signature->entries)},
                             {"owners", base::to_string(manifest.signature->owners)},
                             {"modes", base::to_string(manifest.signature->modes)},
                             {"attributes", base::to_string(manifest.signature->attributes)}};
  }
  json failed = json::array();
  for (const FailedWorker& one : manifest.failed) {
    failed.push_back({{"worker", one.worker}, {"errno", one.error_number}, {"kept", one.kept}});
  }
  document["failed"] = std::move(failed);
  document["replaces"] = manifest.replaces;
  return document;
}

void require(bool holds, const char* what) {
  if (!holds) throw std::invalid_argument(what);
}

base::Digest digest_in(const json& text) {
  const auto digest = parse_digest(text.get_ref<const std::string&>());
  require(digest.has_value(), "a digest is none");
  return *digest;
}

// A number that fits T: nlohmann would cut it.
template <typename T>
T number_in(const json& value, std::int64_t least, std::int64_t most) {
  require(value.is_number_integer(), "a number is none");
  const bool huge = value.is_number_unsigned() && value.get<std::uint64_t>() > static_cast<std::uint64_t>(INT64_MAX);
  require(!huge, "a number is out of range");
  const auto number = value.get<std::int64_t>();
  require(number >= least && number <= most, "a number is out of range");
  return static_cast<T>(number);
}

std::string generation_in(const json& value) {
  auto text = value.get<std::string>();
  require(text.size() == kGenerationDigits && from_hex(text).size() * 2 == kGenerationDigits,
          "a generation that is none");
  return text;
}

StripeManifest read(const json& document) {
  constexpr std::int64_t kLargest = std::int64_t{1} << 62;
  constexpr std::int64_t kMost32 = UINT32_MAX;
  require(document.at("format") == "argosy stripe", "another format");
  require(number_in<int>(document.at("version"), 0, INT32_MAX) == kVersion, "an unknown version");
  StripeManifest manifest;
  manifest.file.path = document.contains("name_hex") ? from_hex(document.at("name_hex").get_ref<const std::string&>())
                                                     : document.at("name").get<std::string>();
  require(is_safe_path(manifest.file.path) && manifest.file.path.find('/') == std::string::npos, "a name that is none");
  const json kind = document.value("kind", "file");
  require(kind == "file" || kind == "folder", "an unknown kind");
  manifest.tree = kind == "folder";
  manifest.file.size = number_in<std::int64_t>(document.at("size"), 0, kLargest);
  manifest.file.mode = number_in<std::uint32_t>(document.at("mode"), 0, 07777);
  manifest.file.uid = number_in<std::uint32_t>(document.at("uid"), 0, kMost32);
  manifest.file.gid = number_in<std::uint32_t>(document.at("gid"), 0, kMost32);
  const json& mtime = document.at("mtime");
  manifest.file.mtime.seconds = number_in<std::int64_t>(mtime.at("seconds"), INT64_MIN, INT64_MAX);
  manifest.file.mtime.nanoseconds = number_in<std::int32_t>(mtime.at("nanoseconds"), 0, 999'999'999);
  manifest.digest = digest_in(document.at("digest"));
  manifest.generation = generation_in(document.at("generation"));
  manifest.created = number_in<std::int64_t>(document.at("created"), INT64_MIN, INT64_MAX);
  manifest.chunk_size = number_in<std::int64_t>(document.at("chunk_size"), 1, kLargest);
  const json& layout = document.at("layout");
  require(layout == "stripe" || layout == "chunks", "an unknown layout");
  manifest.layout = layout == "stripe" ? StripeLayout::kStripe : StripeLayout::kChunks;
  const json& dealing = document.at("dealing");
  require(dealing.at("rule") == "round-robin", "an unknown dealing rule");
  const json& workers = dealing.at("workers");
  require(workers.is_array() && !workers.empty() && workers.size() <= kMostStripeWorkers, "no workers");
  for (const json& worker : workers) manifest.workers.push_back(number_in<std::uint32_t>(worker, 0, INT32_MAX));
  require(std::set(manifest.workers.begin(), manifest.workers.end()).size() == manifest.workers.size(),
          "a worker twice");
  manifest.moved = number_in<std::int64_t>(dealing.at("moved"), 0, kLargest);
  const json& parity = document.at("parity");
  require(parity.at("code") == "reed-solomon-cauchy", "an unknown code");
  const auto most_parity = std::min<std::int64_t>(static_cast<std::int64_t>(workers.size()) - 1, kMostParity);
  manifest.parity = number_in<int>(parity.at("parity"), 0, most_parity);
  manifest.losses = number_in<int>(document.at("losses"), 0, kMostParity);
  const Stripe stripe = manifest.stripe();
  require(parity.at("data") == stripe.data(), "groups of another width");
  require(document.at("chunks") == stripe.chunks(), "another number of chunks");
  // Rows and the table's bytes stay far from where 64 bits end.
  constexpr std::int64_t kMostChunks = std::int64_t{1} << 50;
  require(stripe.chunks() <= kMostChunks, "too many chunks");
  const json& table = document.at("table");
  require(table.at("rows") == stripe.rows(), "another number of rows");
  manifest.table_digest = digest_in(table.at("digest"));
  for (const json& one : document.at("failed")) {
    manifest.failed.push_back({number_in<std::uint32_t>(one.at("worker"), 0, INT32_MAX),
                               number_in<std::int32_t>(one.at("errno"), 0, INT32_MAX),
                               number_in<std::int64_t>(one.at("kept"), 0, kLargest)});
  }
  if (document.contains("signature")) {
    const json& signature = document.at("signature");
    manifest.signature = {digest_in(signature.at("entries")), digest_in(signature.at("owners")),
                          digest_in(signature.at("modes")), digest_in(signature.at("attributes"))};
  }
  const json replaces = document.value("replaces", json::array());
  require(replaces.is_array() && replaces.size() <= kMostReplaced, "too many generations");
  for (const json& one : replaces) manifest.replaces.push_back(generation_in(one));
  return manifest;
}

}  // namespace

std::uint64_t StripeManifest::key() const { return base::checksum_of(std::as_bytes(std::span(generation))); }

std::string encode_stripe_manifest(const StripeManifest& manifest) {
  json document = content(manifest);
  const std::string sum = checksum(document);
  document["checksum"] = sum;
  return document.dump(2) + "\n";
}

std::optional<StripeManifest> decode_stripe_manifest(std::string_view text, std::string& why) {
  try {
    require(text.size() <= kLongestStripeManifest, "too long");
    // Writing it again, for the checksum, takes stack for each level.
    json document = json::parse(text, [](int depth, json::parse_event_t, const json&) {
      require(depth <= kDeepest, "too deep");
      return true;
    });
    require(document.is_object() && document.contains("checksum"), "no checksum");
    const std::string sum = document.at("checksum").get<std::string>();
    document.erase("checksum");
    require(sum == checksum(document), "damaged: its checksum differs");
    return read(document);
  } catch (const std::exception& error) {
    why = error.what();
    return std::nullopt;
  }
}

std::size_t most_manifest_bytes(const StripeManifest& manifest) {
  StripeManifest longest = manifest;
  constexpr std::int64_t kLargest = std::int64_t{1} << 62;
  longest.file.size = longest.moved = kLargest;
  longest.created = INT64_MAX;
  longest.losses = kMostParity;
  if (manifest.tree) longest.signature.emplace();
  longest.failed.assign(manifest.workers.size(), {UINT32_MAX, INT32_MAX, kLargest});
  longest.replaces.assign(kMostReplaced, std::string(kGenerationDigits, '0'));
  return encode_stripe_manifest(longest).size();
}

std::string identity_of(const StripeManifest& manifest) { return checksum(content(manifest)); }

std::optional<base::Digest> parse_digest(std::string_view text) {
  constexpr std::string_view kPrefix = "xxh3:";
  constexpr std::size_t kHalf = 16;
  if (!text.starts_with(kPrefix) || text.size() != kPrefix.size() + 2 * kHalf) return std::nullopt;
  base::Digest digest;
  const char* const begin = text.data() + kPrefix.size();
  const auto high = std::from_chars(begin, begin + kHalf, digest.high, 16);
  const auto low = std::from_chars(begin + kHalf, begin + 2 * kHalf, digest.low, 16);
  if (high.ptr != begin + kHalf || low.ptr != begin + 2 * kHalf) return std::nullopt;
  return digest;
}

}  // namespace argosy::core
