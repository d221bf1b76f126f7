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
  return fmt::format("{}{:016x}{}", kPrefix, hash_of(name), suffix);
}

// What follows the hash in a name of this form; empty: it is none.
std::string_view suffix_of(std::string_view name) {
  if (!name.starts_with(kPrefix)) return {};
  name.remove_prefix(kPrefix.size());
  const std::string_view hash = name.substr(0, std::min(kHashDigits, name.size()));
  const bool is_hash = hash.size() == kHashDigits && std::all_of(hash.begin(), hash.end(), [](char c) {
                         return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
                       });
  return is_hash ? name.substr(kHashDigits) : std::string_view();
}

}  // namespace

std::uint64_t hash_of(std::string_view path) { return base::checksum_of(std::as_bytes(std::span(path))); }

std::string temporary_name(std::string_view name) { return beside(name, ".part"); }
std::string replacement_name(std::string_view name) { return beside(name, ".new"); }
std::string lock_name(std::string_view name) { return beside(name, ".lock"); }
std::string journal_name(std::string_view name) { return beside(name, ".journal"); }
std::string tree_name(std::string_view name) { return beside(name, ".tree"); }
std::string stage_name(std::string_view name) { return beside(name, ".stage"); }
std::string aside_name(std::string_view name) { return beside(name, ".aside"); }
std::string stripe_name(std::string_view name) { return beside(name, ".stripe"); }

bool is_temporary(std::string_view name) {
  constexpr std::array<std::string_view, 8> kSuffixes = {".part", ".new",   ".lock",  ".journal",
                                                         ".tree", ".stage", ".aside", ".stripe"};
  return std::find(kSuffixes.begin(), kSuffixes.end(), suffix_of(name)) != kSuffixes.end();
}

bool is_lock(std::string_view name) { return suffix_of(name) == ".lock"; }

std::string download_name(std::string_view guess, std::uint64_t number) {
  return beside(guess, fmt::format(".{}.get", number));
}

bool is_download(std::string_view name) {
  std::string_view suffix = suffix_of(name);
  if (suffix.size() < 6 || suffix.front() != '.' || !suffix.ends_with(".get")) return false;
  suffix = suffix.substr(1, suffix.size() - 5);
  return suffix.find_first_not_of("0123456789") == std::string_view::npos;
}

std::string download_journal(const std::string& download) { return download + ".journal"; }
std::string download_aside(const std::string& download) { return download + ".aside"; }

std::string download_of(std::string_view name) {
  for (const std::string_view suffix : {".journal", ".aside"}) {
    if (!name.ends_with(suffix)) continue;
    name.remove_suffix(suffix.size());
    break;
  }
  return is_download(name) ? std::string(name) : std::string();
}

std::string download_stem(std::string_view guess) { return beside(guess, "."); }

bool is_signs(std::string_view name) {
  constexpr std::string_view kSuffix = ".ranks";
  if (!name.starts_with(kPrefix) || !name.ends_with(kSuffix)) return false;
  name.remove_prefix(kPrefix.size());
  name.remove_suffix(kSuffix.size());
  return !name.empty() && name.size() <= kHashDigits &&
         name.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

bool is_own_name(std::string_view name) { return is_temporary(name) || !download_of(name).empty() || is_signs(name); }

}  // namespace argosy::file
