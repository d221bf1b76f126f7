#include "file/temporary.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <span>

#include "base/digest.h"

namespace argosy::file {

namespace {

constexpr std::string_view kPrefix = ".argosy-";
constexpr std::size_t kHashDigits = 16;

std::string beside(std::string_view name, std::string_view suffix) {
  return fmt::format("{}{:016x}{}", kPrefix, base::checksum_of(std::as_bytes(std::span(name))), suffix);
}

}  // namespace

std::string temporary_name(std::string_view name) { return beside(name, ".part"); }
std::string lock_name(std::string_view name) { return beside(name, ".lock"); }
std::string journal_name(std::string_view name) { return beside(name, ".journal"); }
std::string tree_name(std::string_view name) { return beside(name, ".tree"); }

std::string aside_name(std::string_view name) { return beside(name, ".aside"); }

bool is_temporary(std::string_view name) {
  if (!name.starts_with(kPrefix)) return false;
  name.remove_prefix(kPrefix.size());
  const std::string_view hash = name.substr(0, std::min(kHashDigits, name.size()));
  const bool is_hash = hash.size() == kHashDigits && std::all_of(hash.begin(), hash.end(), [](char c) {
                         return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
                       });
  if (!is_hash) return false;
  constexpr std::array<std::string_view, 5> kSuffixes = {".part", ".lock", ".journal", ".tree", ".aside"};
  return std::find(kSuffixes.begin(), kSuffixes.end(), name.substr(kHashDigits)) != kSuffixes.end();
}

}  // namespace argosy::file
