#include "command/saved_manifest.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <nlohmann/json.hpp>
#include <vector>

#include "base/error.h"
#include "command/json_bytes.h"
#include "file/compare.h"

namespace argosy::command {

namespace {

using base::Kind;

std::optional<base::Digest> digest_from(std::string_view text) {
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

}  // namespace

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
    if (object.contains("digest")) entry.digest = digest_from(object.at("digest").get<std::string>());
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

RecordedSource::RecordedSource(core::Source& source, const std::string& path) : source_(source), out_(path) {
  out_.write(kManifestHead);
  out_.write("\n");
}

core::Listing RecordedSource::next_entries() {
  core::Listing listing = source_.next_entries();
  {
    const std::lock_guard lock(mutex_);
    for (const core::Entry& entry : listing.entries) {
      if (entry.readable()) {
        open_.emplace(listed_, entry);
      } else if (entry.exists()) {
        add_line(entry, std::nullopt);
      }
      ++listed_;
    }
  }
  write_out();
  return listing;
}

void RecordedSource::close(std::uint64_t entry) {
  try {
    source_.close(entry);
  } catch (const base::Error&) {
    leave_out(entry);
    throw;
  }
}

bool RecordedSource::read_whole(std::uint64_t entry, std::span<std::byte> into) {
  try {
    return source_.read_whole(entry, into);
  } catch (const base::Error&) {
    leave_out(entry);
    throw;
  }
}

void RecordedSource::leave_out(std::uint64_t entry) {
  const std::lock_guard lock(mutex_);
  open_.erase(entry);
}

void RecordedSource::skip(std::uint64_t index) {
  std::optional<core::Entry> entry;
  {
    const std::lock_guard lock(mutex_);
    const auto found = open_.find(index);
    if (found != open_.end()) {
      entry = std::move(found->second);
      open_.erase(found);
    }
  }
  if (!entry || entry->open_ended) return source_.skip(index);
  base::Digest sum;
  std::vector<std::byte> leaf(static_cast<std::size_t>(std::min(entry->size, base::kLeafSize)));
  try {
    for (std::int64_t offset = 0; offset < entry->size; offset += base::kLeafSize) {
      const auto part =
          std::span(leaf).first(static_cast<std::size_t>(std::min(base::kLeafSize, entry->size - offset)));
      source_.read(index, offset, part);
      sum += base::digest_of(part, offset);
    }
  } catch (const base::Error&) {
    source_.skip(index);
    throw;
  }
  source_.skip(index);
  const std::lock_guard lock(mutex_);
  add_line(*entry, base::close_digest(sum, entry->size));
}

void RecordedSource::ended(std::uint64_t index, const base::Digest& digest) {
  const std::lock_guard lock(mutex_);
  const auto found = open_.find(index);
  if (found == open_.end()) return;
  add_line(found->second, digest);
  open_.erase(found);
}

// Under the lock.
void RecordedSource::add_line(const core::Entry& entry, const std::optional<base::Digest>& digest) {
  lines_ += manifest_line(entry, digest) + '\n';
  ++count_;
}

void RecordedSource::write_out() {
  std::string lines;
  {
    const std::lock_guard lock(mutex_);
    lines.swap(lines_);
  }
  out_.write(lines);
}

void RecordedSource::finish() {
  write_out();
  out_.write(fmt::format("{}{}}}\n", kManifestEnd, count_));
  out_.commit();
}

}  // namespace argosy::command
