#include "command/manifest_reader.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "command/saved_manifest.h"

namespace argosy::command {

namespace {

using base::Kind;

// The end line's number; nothing where it is no end line.
std::optional<std::int64_t> number_of_end(std::string_view line) {
  if (!line.starts_with(kManifestEnd) || !line.ends_with('}')) return std::nullopt;
  line.remove_prefix(kManifestEnd.size());
  line.remove_suffix(1);
  std::int64_t number = -1;
  const auto parsed = std::from_chars(line.data(), line.data() + line.size(), number);
  if (parsed.ec != std::errc() || parsed.ptr != line.data() + line.size()) return std::nullopt;
  return number;
}

base::Error damaged(const std::string& path, const char* how) {
  return {Kind::kSource, path, 0, std::string("the manifest is damaged: ") + how};
}

constexpr const char* kCutShort = "its end is missing";

}  // namespace

ManifestReader::ManifestReader(std::string path) : path_(std::move(path)) {
  errno = 0;
  lines_.open(path_, std::ios::binary);
  std::string head;
  if (!lines_ || (!std::getline(lines_, head) && errno != 0))
    throw base::system_error(Kind::kSource, path_, errno, "the manifest can't be read");
  if (head != kManifestHead) throw base::Error(Kind::kSource, path_, 0, "is no manifest of argosy's");
  const auto begin = lines_.tellg();
  if (begin < 0 || !lines_.seekg(0, std::ios::end)) {
    lines_.clear();
    return;
  }
  constexpr std::streamoff kLongestEnd = 64;
  const std::streamoff size = lines_.tellg();
  std::string tail(static_cast<std::size_t>(std::min(size, kLongestEnd)), '\0');
  lines_.seekg(size - static_cast<std::streamoff>(tail.size()));
  lines_.read(tail.data(), static_cast<std::streamsize>(tail.size()));
  if (!lines_) throw base::system_error(Kind::kSource, path_, errno, "the manifest can't be read");
  if (!tail.ends_with('\n')) throw damaged(path_, kCutShort);
  tail.pop_back();
  if (!number_of_end(std::string_view(tail).substr(tail.rfind('\n') + 1))) throw damaged(path_, kCutShort);
  lines_.seekg(begin);
}

std::optional<ManifestReader::Line> ManifestReader::next() {
  if (ended_) return std::nullopt;
  Line line;
  if (!std::getline(lines_, line.text)) {
    if (lines_.bad()) throw base::system_error(Kind::kSource, path_, errno, "reading the manifest failed");
    throw damaged(path_, kCutShort);
  }
  if (const auto number = number_of_end(line.text)) {
    if (*number != count_) throw damaged(path_, "lines are missing");
    if (lines_.peek() != std::ifstream::traits_type::eof()) throw damaged(path_, "something follows its end");
    ended_ = true;
    return std::nullopt;
  }
  line.entry = entry_of_line(line.text, path_);
  ++count_;
  return line;
}

}  // namespace argosy::command
