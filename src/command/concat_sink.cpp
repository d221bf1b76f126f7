#include "command/concat_sink.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <utility>

namespace argosy::command {

namespace {

using base::Kind;

// More entries than any giver has.
constexpr int kNumberBits = 40;

// What of a manifest's path is beneath the giver's folder; empty for that folder itself. Throws where it is not.
std::string_view beneath_top(std::string_view path) {
  if (path == kTop) return {};
  if (!path.starts_with(kTop) || path[kTop.size()] != '/') {
    throw base::Error(Kind::kIntegrity, std::string(path), 0, "is refused: it is not in the giver's folder");
  }
  return path.substr(kTop.size() + 1);
}

}  // namespace

ConcatSink::ConcatSink(Gathering& gathering, int giver, std::uint64_t number, const std::vector<std::string>& hosts,
                       Purpose purpose)
    : gathering_(gathering), giver_(giver), base_(number << kNumberBits), hosts_(hosts), purpose_(purpose) {}

std::string ConcatSink::placed(const std::string& path) const {
  const std::string_view beneath = beneath_top(path);
  if (gathering_.prefix.empty()) return std::string(beneath);
  return beneath.empty() ? gathering_.prefix : fmt::format("{}/{}", gathering_.prefix, beneath);
}

std::string ConcatSink::shown(std::string_view beneath) const {
  if (beneath.empty()) return gathering_.shown;
  return fmt::format("{}{}{}", gathering_.shown, gathering_.shown.ends_with('/') ? "" : "/", beneath);
}

// Whether another giver has the path, too: `granted` says whether the entry may come all the same.
std::optional<base::Failure> ConcatSink::refuse(const core::Entry& entry, bool& granted) {
  granted = true;
  if (!gathering_.is_shared()) return std::nullopt;
  const std::string_view beneath = beneath_top(entry.path);
  const auto ruling = gathering_.claims.claim(beneath, entry.type == core::Type::kFolder, giver_);
  granted = ruling.granted;
  if (ruling.other >= 0 && (purpose_ == Purpose::kHear || ruling.first)) {
    const auto [low, high] = std::minmax(ruling.other, giver_);
    return base::Failure{
        Kind::kDestination,
        shown(beneath),
        -1,
        {},
        0,
        fmt::format("is on rank {} on {} and on rank {} on {}, and only one could be here: left as it was (put %r or "
                    "%h into OUT)",
                    low, hosts_[static_cast<std::size_t>(low)], high, hosts_[static_cast<std::size_t>(high)])};
  }
  if (!granted || entry.type != core::Type::kHardLink) return std::nullopt;
  if (!gathering_.claims.is_refused(beneath_top(entry.link), giver_)) return std::nullopt;
  granted = false;
  if (purpose_ == Purpose::kHear) return std::nullopt;
  return base::Failure{Kind::kDestination, shown(beneath), -1, {}, 0, "is another name of a file that was refused"};
}

core::Examination ConcatSink::inspect(const core::Page& page) {
  const std::lock_guard lock(gathering_.mutex);
  core::Page placed_page = page;
  placed_page.first += base_;
  std::vector<std::uint32_t> refused;
  std::vector<base::Failure> failures;
  std::uint64_t tops = 0;
  for (std::size_t i = 0; i < page.entries.size(); ++i) {
    const core::Entry& entry = page.entries[i];
    if (!entry.exists()) continue;
    if (entry.path == kTop && entry.type != core::Type::kFolder) {
      throw base::Error(Kind::kIntegrity, gathering_.shown, 0, "is refused: the giver's folder is none");
    }
    core::Entry& moved = placed_page.entries[i];
    moved.path = placed(entry.path);
    if (entry.type == core::Type::kHardLink) moved.link = placed(entry.link);
    bool granted = true;
    if (auto failure = refuse(entry, granted)) failures.push_back(std::move(*failure));
    if (!granted) refused.push_back(static_cast<std::uint32_t>(i));
    // OUT itself is there.
    const bool is_out = moved.path.empty();
    if (is_out) {
      ++tops;
      if (purpose_ == Purpose::kMove && !gathering_.dry_run && !gathering_.top_as_it_is) {
        gathering_.writer->set_top(placed_page.first + i, entry);
      }
    }
    // The writer passes over what is missing.
    if (!granted || is_out) moved.size = core::kMissing;
  }
  core::Examination found;
  if (purpose_ == Purpose::kHear) {
    found.wanted.assign(page.entries.size(), false);
    found.only_asked = true;
  } else {
    found = gathering_.writer->inspect(placed_page);
    found.folders += tops;
    found.failed.insert(found.failed.end(), refused.begin(), refused.end());
    list_wanted(page, found);
  }
  found.failures.insert(found.failures.end(), failures.begin(), failures.end());
  return found;
}

void ConcatSink::list_wanted(const core::Page& page, const core::Examination& found) {
  if (!found.only_asked) return;
  const std::lock_guard lock(gathering_.names_mutex);
  for (std::size_t i = 0; i < page.entries.size(); ++i) {
    const core::Entry& entry = page.entries[i];
    if (!found.wanted[i]) continue;
    gathering_.names.push_back(shown(beneath_top(entry.path)) + (entry.type == core::Type::kFolder ? "/" : ""));
  }
}

}  // namespace argosy::command
