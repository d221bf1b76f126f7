#include "command/verify_find.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/interrupt.h"
#include "command/manifest_reader.h"
#include "file/compare.h"
#include "file/first_names.h"
#include "file/temporary.h"

namespace argosy::command {

namespace {

using base::Kind;

constexpr std::int64_t kPart = 64 << 20;
constexpr std::size_t kNamesHeld = 64 * 1024;
// Of hard links' first names so many are kept, for messages.
constexpr std::size_t kTexts = 10'000;

// Of 1024 parts of all hashes.
std::size_t part_of(std::uint64_t hash) { return hash >> 54U; }

class SideBySide final : public Finder {
 public:
  SideBySide(std::string a, std::string b, file::Metadata what)
      : a_path_(std::move(a)), b_path_(std::move(b)), what_(what) {}

  std::optional<Compared> next(std::vector<base::Failure>& failures) override {
    if (ended_) return std::nullopt;
    if (parts_) return part();
    if (!a_) {
      if (is_no_folder(a_path_) && is_no_folder(b_path_)) return files();
      a_ = std::make_unique<file::Listing>(a_path_);
      b_ = std::make_unique<file::Listing>(b_path_);
      left_ = a_->next();
      right_ = b_->next();
      return top();
    }
    if (is_unreadable(left_, right_)) return pass_over(left_, *a_, right_, *b_, failures);
    if (is_unreadable(right_, left_)) return pass_over(right_, *b_, left_, *a_, failures);
    if (!left_ && !right_) return std::nullopt;
    if (!right_ || (left_ && file::comes_before(left_->path, right_->path)))
      return only(left_, *a_, "only in the first");
    if (!left_ || file::comes_before(right_->path, left_->path)) return only(right_, *b_, "only in the second");
    return both();
  }

 private:
  Compared top() {
    Compared item;
    struct stat a = {};
    struct stat b = {};
    if (fstat(a_->folders().base(), &a) != 0 || fstat(b_->folders().base(), &b) != 0)
      throw base::system_error(Kind::kSource, a_path_, errno, "can't be read");
    file::compare_status(file::entry_of({a_->folders(), {}}, a, a_path_),
                         file::entry_of({b_->folders(), {}}, b, b_path_), what_, item.found);
    item.attributes = what_.attributes;
    return item;
  }

  using Side = std::optional<file::Listing::Item>;

  // What comes next can't be read.
  static bool is_unreadable(const Side& side, const Side& other) {
    return side && side->failure && !(other && file::comes_before(other->path, side->path));
  }

  // Nothing can be said of it then, nor of what the other side has in its place.
  static Compared pass_over(Side& side, file::Listing& listing, Side& other, file::Listing& others,
                            std::vector<base::Failure>& failures) {
    failures.push_back(*side->failure);
    const std::string path = side->path;
    side = listing.next();
    while (other && base::interrupted() == 0 && (other->path == path || other->path.starts_with(path + '/'))) {
      if (other->failure) failures.push_back(*other->failure);
      other = others.next();
    }
    return Compared{};
  }

  static Compared only(std::optional<file::Listing::Item>& side, file::Listing& listing, const char* where) {
    Compared item;
    item.path = side->path;
    item.found.emplace_back(where);
    side = listing.next();
    return item;
  }

  Compared both() {
    Compared item;
    item.path = left_->path;
    const core::Entry a = file::entry_of({a_->folders(), left_->path}, left_->status, a_->shown(left_->path));
    const core::Entry b = file::entry_of({b_->folders(), right_->path}, right_->status, b_->shown(right_->path));
    file::compare_status(a, b, what_, item.found);
    const bool several = left_->status.st_nlink > 1 || right_->status.st_nlink > 1;
    if (several && a.type != core::Type::kFolder) {
      const std::uint64_t first_a = names_a_.first(left_->status, item.path);
      const std::uint64_t first_b = names_b_.first(right_->status, item.path);
      if (!groups_.agree(first_a, first_b))
        item.found.push_back(
            fmt::format("links: the same file as {}, as {}", names_a_.text(first_a), names_b_.text(first_b)));
    }
    compare_more(a, b, item);
    left_ = a_->next();
    right_ = b_->next();
    return item;
  }

  // They may have different names.
  Compared files() {
    Compared item;
    item.path = file::name_of(a_path_);
    const core::Entry a = entry(a_path_);
    const core::Entry b = entry(b_path_);
    file::compare_status(a, b, what_, item.found);
    compare_more(a, b, item);
    ended_ = !parts_;
    return item;
  }

  static bool is_no_folder(const std::string& path) {
    struct stat status = {};
    return stat(path.c_str(), &status) == 0 && !S_ISDIR(status.st_mode);
  }

  static core::Entry entry(const std::string& path) {
    const base::Fd above(open(folder_of(path).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    struct stat status = {};
    if (!above.valid() || lstat(path.c_str(), &status) != 0)
      throw base::system_error(Kind::kSource, path, errno, "can't be read");
    file::Folders folders(above.get());
    return file::entry_of({folders, std::string(file::name_of(path))}, status, path);
  }

  // What all ranks are to look at.
  void compare_more(const core::Entry& a, const core::Entry& b, Compared& item) {
    item.attributes = what_.attributes && a.type == b.type && file::may_have_attributes(a.type);
    if (a.type != core::Type::kFile || b.type != core::Type::kFile || a.size != b.size || a.size == 0) return;
    item.length = std::min(kPart, a.size);
    if (a.size <= kPart) return;
    parts_ = Compared{};
    parts_->path = item.path;
    parts_->offset = kPart;
    parts_->length = a.size - kPart;
  }

  Compared part() {
    Compared item = *parts_;
    item.length = std::min(kPart, parts_->length);
    parts_->offset += item.length;
    parts_->length -= item.length;
    if (parts_->length > 0) return item;
    parts_.reset();
    ended_ = !a_;
    return item;
  }

  std::string a_path_;
  std::string b_path_;
  file::Metadata what_;
  std::unique_ptr<file::Listing> a_;
  std::unique_ptr<file::Listing> b_;
  std::optional<file::Listing::Item> left_;
  std::optional<file::Listing::Item> right_;
  std::optional<Compared> parts_;  // of a large file, what is left
  bool ended_ = false;             // two files have been compared
  file::FirstNames names_a_;
  file::FirstNames names_b_;
  file::LinkGroups groups_;
};

class ManifestLines final : public Finder {
 public:
  explicit ManifestLines(std::string manifest) : manifest_(std::move(manifest)) {}

  std::optional<Compared> next(std::vector<base::Failure>& /*failures*/) override {
    if (!reader_) reader_.emplace(manifest_);
    auto line = reader_->next();
    if (!line) return std::nullopt;
    Compared item;
    item.path = std::move(line->entry.path);
    item.length = line->entry.type == core::Type::kFile ? line->entry.size : 0;
    item.line = std::move(line->text);
    if (line->entry.type == core::Type::kHardLink) item.first = std::move(line->entry.link);
    return item;
  }

 private:
  std::string manifest_;
  std::optional<ManifestReader> reader_;
};

class LineByLine final : public Finder {
 public:
  LineByLine(const std::string& manifest, std::string directory)
      : lines_(manifest), not_named_(std::move(directory), names_again(manifest)) {}

  std::optional<Compared> next(std::vector<base::Failure>& failures) override {
    if (!begun_) not_named_.open();
    begun_ = true;
    if (!named_all_) {
      if (auto item = lines_.next(failures)) {
        not_named_.name(*item);
        return item;
      }
      named_all_ = true;
    }
    return not_named_.next(failures);
  }

 private:
  // What comes through a pipe comes once.
  static NotNamed::Names names_again(const std::string& manifest) {
    struct stat status = {};
    if (stat(manifest.c_str(), &status) != 0 || !S_ISREG(status.st_mode)) return {};
    return [manifest] { return find_lines(manifest); };
  }

  ManifestLines lines_;
  NotNamed not_named_;
  bool begun_ = false;
  bool named_all_ = false;
};

}  // namespace

std::string folder_of(const std::string& path) {
  const std::string_view above = file::parent_of(path);
  return above.empty() ? "/" : std::string(above);
}

void NotNamed::open() { listing_ = std::make_unique<file::Listing>(directory_); }

void NotNamed::name(const Compared& item) {
  const std::uint64_t hash = file::hash_of(item.path);
  tops_.insert(item.path.substr(0, item.path.find('/')));
  if (!item.first.empty()) {
    const std::uint64_t first = file::hash_of(item.first);
    links_.emplace_back(hash, first);
    firsts_.push_back(first);
    if (texts_.size() < kTexts) texts_.emplace(first, item.first);
  }
  if (again_) {
    sums_.resize(kParts);
    Sum& sum = sums_[part_of(hash)];
    ++sum.names;
    sum.hashes += hash;
    if (named_.size() == kNamesHeld) too_many_ = true;
    if (too_many_) named_ = {};
  }
  if (!too_many_) named_.push_back(hash);
}

bool NotNamed::is_beneath_named(const std::string& path) const {
  return tops_.contains(path.substr(0, path.find('/')));
}

void NotNamed::begin() {
  begun_ = true;
  std::sort(named_.begin(), named_.end());
  std::sort(links_.begin(), links_.end());
  std::sort(firsts_.begin(), firsts_.end());
  summing_ = too_many_;
  if (summing_) there_.resize(kParts);
}

// On the first way through what is there: the next whose hard links are others; nothing at the end.
std::optional<Compared> NotNamed::next_while_summing(std::vector<base::Failure>& failures) {
  while (auto found = listing_->next()) {
    if (!is_beneath_named(found->path)) continue;
    const std::uint64_t hash = file::hash_of(found->path);
    ++there_[part_of(hash)].names;
    there_[part_of(hash)].hashes += hash;
    Compared item;
    if (found->failure) {
      failures.push_back(*found->failure);
      return item;
    }
    compare_links(*found, hash, item.found);
    if (item.found.empty()) continue;
    item.path = found->path;
    return item;
  }
  summing_ = false;
  for (std::size_t part = 0; part < kParts; ++part) {
    if (there_[part] != sums_[part]) differ_.push_back(part);
  }
  return std::nullopt;
}

// As the manifest tells, and as it is.
void NotNamed::compare_links(const file::Listing::Item& here, std::uint64_t hash, std::vector<std::string>& found) {
  const auto link = std::lower_bound(links_.begin(), links_.end(), std::pair(hash, std::uint64_t{0}));
  const bool is_link = link != links_.end() && link->first == hash;
  const bool one_of_several = here.status.st_nlink > 1 && !S_ISDIR(here.status.st_mode);
  if (!is_link && !one_of_several && !std::binary_search(firsts_.begin(), firsts_.end(), hash)) return;
  const std::uint64_t told = is_link ? link->second : hash;
  const std::uint64_t is = names_.first(here.status, here.path);
  if (groups_.agree(told, is)) return;
  const auto text = texts_.find(told);
  if (is != hash) {
    found.push_back(fmt::format("links: the same file as {}, otherwise than in the manifest", names_.text(is)));
  } else {
    found.push_back(fmt::format("links: no longer the same file as {}", told == hash || text == texts_.end()
                                                                            ? "its other names"
                                                                            : base::printable(text->second)));
  }
}

// Holds what is named in as many parts as it may; false where none is left.
bool NotNamed::go_on() {
  if (differ_.empty()) return false;
  looked_at_.assign(kParts, false);
  std::size_t names = 0;
  do {
    names += sums_[differ_.front()].names;
    looked_at_[differ_.front()] = true;
    differ_.pop_front();
  } while (!differ_.empty() && names + sums_[differ_.front()].names <= kNamesHeld);
  named_.clear();
  const std::unique_ptr<Finder> lines = again_();
  std::vector<base::Failure> none;
  while (const auto item = lines->next(none)) {
    const std::uint64_t hash = file::hash_of(item->path);
    if (looked_at_[part_of(hash)]) named_.push_back(hash);
  }
  std::sort(named_.begin(), named_.end());
  open();
  return true;
}

std::optional<Compared> NotNamed::next(std::vector<base::Failure>& failures) {
  if (!begun_) begin();
  if (summing_) {
    if (auto item = next_while_summing(failures)) return item;
  }
  do {
    while (auto found = listing_->next()) {
      const std::uint64_t hash = file::hash_of(found->path);
      if (!is_beneath_named(found->path) || (too_many_ && !looked_at_[part_of(hash)])) continue;
      if (found->failure && too_many_) continue;  // told before
      Compared item;
      if (found->failure) {
        failures.push_back(*found->failure);
        return item;
      }
      item.path = found->path;
      if (!std::binary_search(named_.begin(), named_.end(), hash)) {
        item.found.emplace_back("not in the manifest");
        return item;
      }
      if (too_many_) continue;  // its links have been looked at
      compare_links(*found, hash, item.found);
      if (!item.found.empty()) return item;
    }
  } while (go_on());
  return std::nullopt;
}

std::unique_ptr<Finder> find_side_by_side(std::string a, std::string b, file::Metadata what) {
  return std::make_unique<SideBySide>(std::move(a), std::move(b), what);
}

std::unique_ptr<Finder> find_lines(std::string manifest) {
  return std::make_unique<ManifestLines>(std::move(manifest));
}

std::unique_ptr<Finder> find_line_by_line(const std::string& manifest, std::string directory) {
  return std::make_unique<LineByLine>(manifest, std::move(directory));
}

}  // namespace argosy::command
