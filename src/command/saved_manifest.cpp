#include "command/saved_manifest.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <utility>
#include <vector>

#include "base/error.h"
#include "command/json_bytes.h"
#include "file/compare.h"

namespace argosy::command {

namespace {

using base::Kind;

constexpr std::size_t kMuch = 64 * 1024;

}  // namespace

std::optional<base::Digest> digest_of_text(std::string_view text) {
  constexpr std::string_view kPrefix = "xxh3:";
  if (!text.starts_with(kPrefix) || text.size() != kPrefix.size() + 32) return std::nullopt;
  text.remove_prefix(kPrefix.size());
  base::Digest digest;
  const auto parse = [](std::string_view part, std::uint64_t& into) {
    const auto end = std::from_chars(part.data(), part.data() + part.size(), into, 16);
    return end.ec == std::errc() && end.ptr == part.data() + part.size();
  };
  if (!parse(text.substr(0, 16), digest.high) || !parse(text.substr(16), digest.low)) return std::nullopt;
  return digest;
}

namespace {

nlohmann::json object_of(const core::Entry& entry, const std::optional<base::Digest>& digest) {
  nlohmann::json line = {{"type", file::type_name(entry.type)},
                         {"mode", entry.mode},
                         {"uid", entry.uid},
                         {"gid", entry.gid},
                         {"mtime", {entry.mtime.seconds, entry.mtime.nanoseconds}}};
  put_bytes(line, "path", entry.path);
  if (entry.type == core::Type::kFile) line["size"] = entry.size;
  if (!entry.link.empty()) put_bytes(line, "link", entry.link);
  if (entry.device != 0) line["device"] = entry.device;
  if (digest) line["digest"] = base::to_string(*digest);
  if (!entry.attributes.empty()) {
    nlohmann::json attributes = nlohmann::json::array();
    for (const core::Attribute& attribute : entry.attributes) {
      nlohmann::json one;
      put_bytes(one, "name", attribute.name);
      one["value"] = to_base64(attribute.value);
      attributes.push_back(std::move(one));
    }
    line["attributes"] = std::move(attributes);
  }
  return line;
}

// Throws where it is no integer, or too large for its field.
template <typename Number>
Number integer(const nlohmann::json& value) {
  const bool fits = value.is_number_unsigned()
                        ? std::in_range<Number>(value.get<std::uint64_t>())
                        : value.is_number_integer() && std::in_range<Number>(value.get<std::int64_t>());
  if (!fits) throw std::out_of_range("no such number");
  return value.get<Number>();
}

// Whether a manifest of argosy's may tell of it.
bool is_possible(const core::Entry& entry) {
  const bool is_device = entry.type == core::Type::kCharDevice || entry.type == core::Type::kBlockDevice;
  if (!core::is_safe_path(entry.path) || !core::is_safe_link(entry.type, entry.link)) return false;
  if (entry.size < 0 || entry.size > core::kLargestFile || entry.mode > 07777) return false;
  if (entry.mtime.nanoseconds < 0 || entry.mtime.nanoseconds >= 1'000'000'000) return false;
  if (entry.digest.has_value() != (entry.type == core::Type::kFile)) return false;
  if (!is_device && entry.device != 0) return false;
  const std::vector<core::Attribute>& all = entry.attributes;
  const auto out_of_order = [](const core::Attribute& one, const core::Attribute& next) {
    return one.name >= next.name;
  };
  return std::all_of(all.begin(), all.end(), [](const auto& one) { return core::is_moved_attribute(one.name); }) &&
         std::adjacent_find(all.begin(), all.end(), out_of_order) == all.end();
}

}  // namespace

std::string manifest_line(const core::Entry& entry, const std::optional<base::Digest>& digest) {
  return object_of(entry, digest).dump();
}

core::Entry entry_of_line(const std::string& line, const std::string& shown) {
  try {
    const nlohmann::json object = nlohmann::json::parse(line);
    core::Entry entry;
    entry.path = get_bytes(object, "path");
    const std::string type = object.at("type");
    std::uint8_t number = 0;
    while (number < core::kTypes && file::type_name(static_cast<core::Type>(number)) != type) ++number;
    entry.type = static_cast<core::Type>(number);
    entry.mode = integer<std::uint32_t>(object.at("mode"));
    entry.uid = integer<std::uint32_t>(object.at("uid"));
    entry.gid = integer<std::uint32_t>(object.at("gid"));
    entry.mtime.seconds = integer<std::int64_t>(object.at("mtime").at(0));
    entry.mtime.nanoseconds = integer<std::int32_t>(object.at("mtime").at(1));
    if (object.contains("size")) entry.size = integer<std::int64_t>(object.at("size"));
    entry.link = get_bytes(object, "link");
    if (object.contains("device")) entry.device = integer<std::uint64_t>(object.at("device"));
    if (object.contains("digest")) entry.digest = digest_of_text(object.at("digest").get<std::string>());
    if (object.contains("attributes")) {
      for (const nlohmann::json& one : object.at("attributes"))
        entry.attributes.push_back({get_bytes(one, "name"), from_base64(one.at("value").get<std::string>())});
    }
    // A field that is missing, unknown, or of another type or range than it may have would not be written like that.
    if (number < core::kTypes && is_possible(entry) && object.dump() == manifest_line(entry, entry.digest))
      return entry;
  } catch (const std::exception&) {
    // Said below.
  }
  throw base::Error(Kind::kSource, shown, 0, "is no manifest of argosy's, or is damaged: " + line.substr(0, 80));
}

SavedManifest::SavedManifest(const std::string& path) : out_(path) {
  out_.write(kManifestHead);
  out_.write("\n");
}

void SavedManifest::add(const core::Entry& entry, const std::optional<base::Digest>& digest) {
  const std::string line = manifest_line(entry, digest) + '\n';
  const std::lock_guard lock(mutex_);
  lines_ += line;
  ++count_;
}

void SavedManifest::write_out() {
  {
    const std::lock_guard lock(mutex_);
    if (lines_.size() < kMuch) return;
  }
  write_all();
}

void SavedManifest::write_all() {
  const std::lock_guard writing(writing_);
  std::string lines;
  {
    const std::lock_guard lock(mutex_);
    lines.swap(lines_);
  }
  out_.write(lines);
}

void SavedManifest::mark() {
  write_all();
  out_.mark();
  marked_ = count_;
}

void SavedManifest::drop() {
  lines_.clear();
  out_.back_to_mark();
  count_ = marked_;
}

void SavedManifest::finish() {
  write_all();
  out_.write(fmt::format("{}{}}}\n", kManifestEnd, count_));
  out_.commit();
}

}  // namespace argosy::command
