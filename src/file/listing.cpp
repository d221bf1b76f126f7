#include "file/listing.h"

#include <dirent.h>
#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <utility>

#include "base/activity.h"
#include "file/temporary.h"

namespace argosy::file {

Listing::Listing(const std::string& path, std::size_t most_names)
    : path_(path),
      most_names_(most_names),
      base_(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)),
      folders_(base_.get()) {
  if (!base_.valid()) throw base::system_error(base::Kind::kSource, path, errno, "can't be read");
  push({});
}

std::string Listing::shown(std::string_view beneath) const {
  std::string whole = path_;
  if (!whole.ends_with('/')) whole += '/';
  return whole.append(beneath);
}

void Listing::push(std::string path) {
  Level level;
  level.path = std::move(path);
  fill(level, {});
  levels_.push_back(std::move(level));
}

// The first names behind `after`, which is empty or a name.
void Listing::fill(Level& level, const std::string& after) {
  const auto fail = [&](int error_number) {
    level.names.clear();
    level.more = false;
    throw base::system_error(base::Kind::kSource, shown(level.path), error_number, "the folder can't be read");
  };
  const auto folder = folders_.open(level.path);
  if (!folder) fail(errno);
  base::Fd fd(openat(folder->fd.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid()) fail(errno);
  const std::unique_ptr<DIR, int (*)(DIR*)> listing(fdopendir(fd.get()), closedir);
  if (!listing) fail(errno);
  static_cast<void>(fd.release());
  std::vector<std::string>& names = level.names;
  level.more = false;
  errno = 0;
  while (const dirent* entry = readdir(listing.get())) {
    const std::string_view name = entry->d_name;
    if (name != "." && name != ".." && !is_temporary(name) && name > after) {
      // A heap, the last name on top: it makes room.
      if (names.size() == most_names_) {
        level.more = true;
        if (name < names.front()) {
          std::pop_heap(names.begin(), names.end());
          names.back() = name;
          std::push_heap(names.begin(), names.end());
        }
      } else {
        names.emplace_back(name);
        if (names.size() == most_names_) std::make_heap(names.begin(), names.end());
      }
    }
    errno = 0;
  }
  if (errno != 0) fail(errno);
  std::sort(names.begin(), names.end(), std::greater<>());
}

std::optional<Listing::Item> Listing::next() {
  while (!levels_.empty() && levels_.back().names.empty()) levels_.pop_back();
  if (levels_.empty()) return std::nullopt;
  Level& level = levels_.back();
  const std::string name = std::move(level.names.back());
  level.names.pop_back();
  Item item;
  item.path = level.path.empty() ? name : level.path + '/' + name;
  base::note_activity();
  try {
    if (level.names.empty() && level.more) fill(level, name);
    const auto folder = folders_.open(level.path);
    if (!folder || fstatat(folder->fd.get(), name.c_str(), &item.status, AT_SYMLINK_NOFOLLOW) != 0) {
      throw base::system_error(base::Kind::kSource, shown(item.path), errno, "can't be read");
    }
    if (S_ISDIR(item.status.st_mode)) push(item.path);
  } catch (const base::Error& error) {
    item.failure = error.failure();
  }
  return item;
}

bool comes_before(std::string_view a, std::string_view b) {
  const auto [at_a, at_b] = std::mismatch(a.begin(), a.end(), b.begin(), b.end());
  if (at_a == a.end() || at_b == b.end()) return at_b != b.end();
  // A slash ends a component, and the shorter component comes first.
  if (*at_a == '/' || *at_b == '/') return *at_a == '/';
  return static_cast<unsigned char>(*at_a) < static_cast<unsigned char>(*at_b);
}

}  // namespace argosy::file
