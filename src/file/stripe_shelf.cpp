#include "file/stripe_shelf.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <string_view>

#include "base/activity.h"
#include "base/error.h"
#include "file/digest_file.h"
#include "file/disk.h"
#include "file/folders.h"
#include "file/stripe_workplace.h"
#include "file/temporary.h"

namespace argosy::file {

namespace {

using base::Kind;

// Descriptors that are kept open; more than these are opened anew each time.
constexpr std::size_t kMostOpen = 256;

bool has_template(std::string_view component) {
  for (std::size_t at = component.find('%'); at != std::string_view::npos; at = component.find('%', at + 2)) {
    if (at + 1 < component.size() && component[at + 1] != '%') return true;
  }
  return false;
}

// "%%" as what it stands for.
std::string plain(std::string_view component) {
  std::string text;
  for (std::size_t i = 0; i < component.size(); ++i) {
    text += component[i];
    if (component[i] == '%') ++i;
  }
  return text;
}

// Whether `name` is one that `component` with its templates stands for.
bool matches(std::string_view component, std::string_view name) {
  if (component.empty()) return name.empty();
  if (component[0] != '%' || component.size() < 2 || component[1] == '%') {
    const std::size_t taken = component[0] == '%' && component.size() > 1 ? 2 : 1;
    return !name.empty() && name[0] == component[0] && matches(component.substr(taken), name.substr(1));
  }
  const bool number = component[1] == 'r';
  for (std::size_t length = 1; length <= name.size(); ++length) {
    const char c = name[length - 1];
    if (number && (c < '0' || c > '9')) return false;
    if (matches(component.substr(2), name.substr(length))) return true;
  }
  return false;
}

void match_from(const std::string& base, std::string_view rest, std::size_t most, std::vector<std::string>& found) {
  while (rest.starts_with('/')) rest.remove_prefix(1);
  if (rest.empty()) {
    if (found.size() < most) found.push_back(base);
    return;
  }
  const std::size_t end = std::min(rest.find('/'), rest.size());
  const std::string_view component = rest.substr(0, end);
  const std::string prefix = base + '/';
  if (!has_template(component)) return match_from(prefix + plain(component), rest.substr(end), most, found);
  const std::unique_ptr<DIR, int (*)(DIR*)> folder(opendir(prefix.c_str()), closedir);
  if (!folder) return;  // nothing is seen there
  std::vector<std::string> names;
  while (const dirent* entry = readdir(folder.get())) {
    if (entry->d_name[0] != '.' && matches(component, entry->d_name)) names.emplace_back(entry->d_name);
  }
  std::sort(names.begin(), names.end());
  for (const std::string& name : names) match_from(prefix + name, rest.substr(end), most, found);
}

// As much as there is; how much that was.
std::size_t read_some(int fd, std::int64_t offset, std::span<std::byte> into, const std::string& path) {
  const std::int64_t got = read_up_to(fd, offset, into);
  if (got < 0) throw base::system_error(Kind::kSource, path, errno, "can't be read");
  return static_cast<std::size_t>(got);
}

void read_at(int fd, std::int64_t offset, std::span<std::byte> into, const std::string& path) {
  if (read_some(fd, offset, into, path) == into.size()) return;
  throw base::system_error(Kind::kSource, path, ENODATA, "is shorter than it should be");
}

template <typename Number>
std::optional<Number> number_in(std::string_view text) {
  Number number{};
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
  if (text.empty() || parsed.ec != std::errc() || parsed.ptr != text.data() + text.size()) return std::nullopt;
  return number;
}

// The row of a chunk's file; nothing where the name is none of this stripe's.
std::optional<std::int64_t> row_of(std::string_view name, const core::Stripe& stripe) {
  if (name.starts_with("chunk_")) {
    const auto number = number_in<std::int64_t>(name.substr(6));
    if (!number || *number < 0 || *number >= stripe.chunks()) return std::nullopt;
    return stripe.row_of_chunk(*number);
  }
  if (!name.starts_with("parity_")) return std::nullopt;
  const std::size_t second = std::min(name.find('_', 7), name.size());
  const auto group = number_in<std::int64_t>(name.substr(7, second - 7));
  const auto number = number_in<std::int64_t>(name.substr(std::min(second + 1, name.size())));
  if (!group || !number || *group < 0 || *group >= stripe.groups() || *number < 0 || *number >= stripe.parity()) {
    return std::nullopt;
  }
  return stripe.first_row(*group) + stripe.data_in(*group) + *number;
}

}  // namespace

std::vector<std::string> match_paths(const std::string& pattern, std::size_t most) {
  std::vector<std::string> found;
  match_from({}, pattern, most, found);
  return found;
}

void StripeShelf::find(const std::string& own, const std::string& pattern) {
  look_at(own, true);
  for (const std::string& path : match_paths(pattern, kMostStripeFolders)) {
    if (path != own) look_at(path, false);
  }
}

void StripeShelf::look_at(const std::string& path, bool own) {
  look_into(path, own, false);
  const std::size_t slash = path.rfind('/');
  const std::string workplace = path.substr(0, slash + 1) + stripe_name(path.substr(slash + 1));
  for (const std::string& name : names_in(AT_FDCWD, workplace)) {
    std::string finished = workplace;
    finished += '/';
    finished += name;
    if (read_manifest(AT_FDCWD, finished)) look_into(finished, own, true);
  }
}

void StripeShelf::look_into(const std::string& path, bool own, bool aside) {
  struct stat status = {};
  if (stat(path.c_str(), &status) != 0 || !S_ISDIR(status.st_mode)) return;
  StripeFolder folder;
  folder.path = path;
  folder.own = own;
  folder.aside = aside;
  folder.device = status.st_dev;
  folder.inode = status.st_ino;
  for (const StripeFolder& other : folders_) {
    if (other.device == folder.device && other.inode == folder.inode) return;
  }
  const auto manifest = read_manifest(AT_FDCWD, path, folder.manifest, folder.why);
  base::Fd table(::open((path + '/' + core::kTableName).c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK));
  struct stat table_status = {};
  if (manifest && table.valid() && fstat(table.get(), &table_status) == 0 && S_ISREG(table_status.st_mode)) {
    folder.table = true;
    folder.table_right =
        table_status.st_size == manifest->stripe().rows() * static_cast<std::int64_t>(core::kRowBytes) &&
        digest_of_fd(table.get(), table_status.st_size) == manifest->table_digest;
  }
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(opendir(path.c_str()), closedir);
  while (const dirent* entry = stream ? readdir(stream.get()) : nullptr) {
    const std::string_view name = entry->d_name;
    if (name.starts_with("share_")) {
      if (const auto worker = number_in<std::uint32_t>(name.substr(6))) folder.shares.insert(*worker);
      continue;
    }
    if (!name.starts_with("chunk_") && !name.starts_with("parity_")) continue;
    const auto number = manifest ? row_of(name, manifest->stripe()) : std::nullopt;
    std::array<std::byte, core::kRowBytes> bytes{};
    std::optional<core::Row> row;
    if (number && folder.table &&
        pread(table.get(), bytes.data(), bytes.size(), *number * static_cast<std::int64_t>(core::kRowBytes)) ==
            static_cast<ssize_t>(bytes.size())) {
      row = core::decode_row(bytes, *number, manifest->key());
    }
    if (row) {
      folder.shares.insert(row->holder);
    } else {
      folder.chunks = true;
    }
  }
  folders_.push_back(std::move(folder));
  // By what is there, not by what a manifest says: it may be damaged.
  bool has_shares = false;
  for (const std::uint32_t share : folders_.back().shares) {
    has_shares = has_shares || access((path + '/' + core::share_name(share)).c_str(), F_OK) == 0;
  }
  layouts_.push_back(has_shares ? core::StripeLayout::kStripe : core::StripeLayout::kChunks);
  base::note_activity();
}

std::shared_ptr<base::Fd> StripeShelf::opened(const std::string& path, bool keep) {
  if (keep) {
    const std::lock_guard lock(mutex_);
    const auto found = open_.find(path);
    if (found != open_.end()) return found->second;
  }
  auto fd = std::make_shared<base::Fd>(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK));
  if (!fd->valid()) throw base::system_error(Kind::kSource, path, errno, "can't be read");
  struct stat status = {};
  if (fstat(fd->get(), &status) != 0 || !S_ISREG(status.st_mode)) {
    throw base::system_error(Kind::kSource, path, EINVAL, "is no regular file");
  }
  if (keep) {
    const std::lock_guard lock(mutex_);
    if (open_.size() < kMostOpen) open_.emplace(path, fd);
  }
  return fd;
}

void StripeShelf::read(std::uint32_t folder, const core::Place& place, std::int64_t chunk_size,
                       std::span<std::byte> into) {
  if (folder >= folders_.size()) throw base::system_error(Kind::kSource, {}, EINVAL, "there is no such folder");
  const std::string& path = folders_[folder].path;
  std::int64_t offset = 0;
  if (layouts_[folder] == core::StripeLayout::kChunks) {
    core::Cell cell;
    cell.parity = place.parity;
    cell.group = place.group;
    cell.number = place.number;
    const std::string name = path + '/' + core::chunk_name(cell);
    return read_at(opened(name, false)->get(), 0, into, name);
  }
  const std::string name = path + '/' + core::share_name(place.holder);
  if (__builtin_mul_overflow(place.position, chunk_size, &offset)) {
    throw base::system_error(Kind::kSource, name, EFBIG, "can't be read");
  }
  read_at(opened(name, true)->get(), offset, into, name);
}

void StripeShelf::read_table(std::uint32_t folder, std::int64_t first_row, std::span<std::byte> into) {
  if (folder >= folders_.size()) throw base::system_error(Kind::kSource, {}, EINVAL, "there is no such folder");
  const std::string name = folders_[folder].path + '/' + core::kTableName;
  std::int64_t offset = 0;
  if (__builtin_mul_overflow(first_row, static_cast<std::int64_t>(core::kRowBytes), &offset)) {
    throw base::system_error(Kind::kSource, name, EFBIG, "can't be read");
  }
  // What a table that was cut off lacks is no row: its zeros have no right check.
  const std::size_t got = read_some(opened(name, true)->get(), offset, into, name);
  std::fill(into.begin() + static_cast<std::ptrdiff_t>(got), into.end(), std::byte{0});
}

}  // namespace argosy::file
