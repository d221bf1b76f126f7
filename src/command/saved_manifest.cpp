#include "command/saved_manifest.h"

#include <fmt/format.h>

#include <charconv>
#include <nlohmann/json.hpp>

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

std::string manifest_line(const core::Entry& entry, const std::optional<base::Digest>& digest) {
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
  return line.dump();
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
    entry.mode = object.at("mode");
    entry.uid = object.at("uid");
    entry.gid = object.at("gid");
    entry.mtime.seconds = object.at("mtime").at(0);
    entry.mtime.nanoseconds = object.at("mtime").at(1);
    entry.size = object.value("size", std::int64_t{0});
    entry.link = get_bytes(object, "link");
    entry.device = object.value("device", std::uint64_t{0});
    if (object.contains("digest")) entry.digest = digest_of_text(object.at("digest").get<std::string>());
    if (object.contains("attributes")) {
      for (const nlohmann::json& one : object.at("attributes"))
        entry.attributes.push_back({get_bytes(one, "name"), from_base64(one.at("value").get<std::string>())});
    }
    const bool sane = number < core::kTypes && core::is_safe_path(entry.path) && entry.size >= 0 &&
                      core::is_safe_link(entry.type, entry.link);
    if (sane) return entry;
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
