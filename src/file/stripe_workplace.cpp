#include "file/stripe_workplace.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <string_view>

#include "base/error.h"
#include "base/fd.h"
#include "file/folders.h"
#include "file/lock.h"
#include "file/temporary.h"

namespace argosy::file {

namespace {

using base::Kind;

std::string beneath(const std::string& folder, const std::string& name) {
  std::string path = folder;
  path += '/';
  path += name;
  return path;
}

bool all_digits(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

std::string read_text(int fd, std::size_t most, std::string& why) {
  struct stat status = {};
  if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode) || status.st_size <= 0 ||
      static_cast<std::size_t>(status.st_size) > most) {
    why = "is none";
    return {};
  }
  std::string text(static_cast<std::size_t>(status.st_size), '\0');
  for (std::size_t at = 0; at < text.size();) {
    const ssize_t got = pread(fd, text.data() + at, text.size() - at, static_cast<off_t>(at));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) {
      why = base::system_error(Kind::kSource, {}, got < 0 ? errno : ENODATA, "can't be read").failure().message;
      return {};
    }
    at += static_cast<std::size_t>(got);
  }
  return text;
}

}  // namespace

bool is_stripe_name(const std::string& name) {
  const std::string_view text = name;
  if (text == core::kManifestName || text == core::kTableName || is_temporary(text)) return true;
  if (text.starts_with("share_")) return all_digits(text.substr(6));
  if (text.starts_with("chunk_")) return all_digits(text.substr(6));
  if (!text.starts_with("parity_")) return false;
  const std::size_t second = text.find('_', 7);
  return second != std::string_view::npos && all_digits(text.substr(7, second - 7)) &&
         all_digits(text.substr(second + 1));
}

std::optional<core::StripeManifest> read_manifest(int folder, const std::string& name, std::string& text,
                                                  std::string& why) {
  const std::string path = beneath(name, core::kManifestName);
  const base::Fd fd(openat(folder, path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK));
  if (!fd.valid()) {
    why = errno == ENOENT ? "is missing"
                          : base::system_error(Kind::kSource, {}, errno, "can't be read").failure().message;
    return std::nullopt;
  }
  text = read_text(fd.get(), core::kLongestStripeManifest, why);
  auto manifest = text.empty() ? std::nullopt : core::decode_stripe_manifest(text, why);
  if (!manifest) text.clear();
  return manifest;
}

std::optional<core::StripeManifest> read_manifest(int folder, const std::string& name) {
  std::string text;
  std::string why;
  return read_manifest(folder, name, text, why);
}

bool is_needed(int folder, const std::string& workplace, const std::string& name) {
  const auto here = read_manifest(folder, beneath(workplace, name));
  if (!here) return false;
  const std::string target = here->file.path + core::kStripeSuffix;
  if (stripe_name(target) != workplace) return false;
  const auto in_place = read_manifest(folder, target);
  return !in_place || here->created > in_place->created;
}

void tidy_workplace(int folder, const std::string& workplace) noexcept {
  for (const std::string& name : names_in(folder, workplace)) {
    if (is_needed(folder, workplace, name)) continue;
    const std::string path = beneath(workplace, name);
    if (unlinkat(folder, path.c_str(), 0) != 0) remove_stripe_folder(folder, path);
  }
  static_cast<void>(unlinkat(folder, workplace.c_str(), AT_REMOVEDIR));
}

void remove_stripe_folder(int folder, const std::string& name) noexcept {
  for (const std::string& one : names_in(folder, name)) {
    static_cast<void>(unlinkat(folder, beneath(name, one).c_str(), 0));
  }
  static_cast<void>(unlinkat(folder, name.c_str(), AT_REMOVEDIR));
}

void put_stripe_in_place(int folder, const std::string& from, const std::string& target, const std::string& shown) {
  if (renameat2(folder, from.c_str(), folder, target.c_str(), RENAME_EXCHANGE) == 0) return;
  const auto failed = [&](int error_number) {
    return base::system_error(Kind::kDestination, shown, error_number, "can't be put in place");
  };
  if (errno == ENOENT) {
    if (renameat2(folder, from.c_str(), folder, target.c_str(), RENAME_NOREPLACE) == 0) return;
    if (errno != EINVAL || renameat(folder, from.c_str(), folder, target.c_str()) != 0) throw failed(errno);
    return;
  }
  if (errno != EINVAL && errno != ENOSYS) throw failed(errno);
  // A file system that knows no exchange: for a moment no stripe has the name, and both are in the workplace.
  const std::string aside = from + ".old";
  remove_stripe_folder(folder, aside);
  if (renameat(folder, target.c_str(), folder, aside.c_str()) != 0) throw failed(errno);
  if (renameat(folder, from.c_str(), folder, target.c_str()) != 0) {
    const int error_number = errno;
    static_cast<void>(renameat(folder, aside.c_str(), folder, target.c_str()));
    throw failed(error_number);
  }
  static_cast<void>(renameat(folder, aside.c_str(), folder, from.c_str()));
}

void settle_stripe(const Folder& folder, const core::StripeManifest& meant) {
  const std::string target = meant.file.path + core::kStripeSuffix;
  const std::string workplace = stripe_name(target);
  std::optional<Lock> lock;
  try {
    lock.emplace(folder.fd(), lock_name(target), folder.shown(target));
  } catch (const base::Error&) {
    return;
  }
  const auto in_place = read_manifest(folder.fd(), target);
  if (!in_place || in_place->created < meant.created) {
    for (const std::string& name : names_in(folder.fd(), workplace)) {
      const std::string path = beneath(workplace, name);
      const auto here = read_manifest(folder.fd(), path);
      if (!here || here->generation != meant.generation) continue;
      put_stripe_in_place(folder.fd(), path, target, folder.shown(target));
      break;
    }
  }
  tidy_workplace(folder.fd(), workplace);
}

void remove_replaced(const std::string& path, const std::set<std::string>& generations) noexcept {
  const std::size_t slash = path.rfind('/');
  if (slash == std::string::npos) return;
  const std::string target = path.substr(slash + 1);
  const std::string workplace = stripe_name(target);
  const base::Fd folder(open(path.substr(0, slash + 1).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder.valid()) return;
  const auto is_replaced = [&](const std::string& name) {
    const auto manifest = read_manifest(folder.get(), name);
    const std::vector<std::string> inside = names_in(folder.get(), name);
    return manifest && generations.contains(manifest->generation) &&
           std::all_of(inside.begin(), inside.end(), is_stripe_name);
  };
  const auto left = [&] {
    std::vector<std::string> paths;
    for (const std::string& name : names_in(folder.get(), workplace)) {
      if (is_replaced(beneath(workplace, name))) paths.push_back(beneath(workplace, name));
    }
    return paths;
  };
  if (!is_replaced(target) && left().empty()) return;
  try {
    const Lock lock(folder.get(), lock_name(target), path);
    // Out of sight first: half of a stripe's folder looks like a damaged one.
    if (is_replaced(target)) {
      if (mkdirat(folder.get(), workplace.c_str(), 0777) != 0 && errno != EEXIST) return;
      const std::string aside = workplace + "/replaced";
      remove_stripe_folder(folder.get(), aside);
      if (renameat(folder.get(), target.c_str(), folder.get(), aside.c_str()) != 0) return;
    }
    for (const std::string& one : left()) remove_stripe_folder(folder.get(), one);
    static_cast<void>(unlinkat(folder.get(), workplace.c_str(), AT_REMOVEDIR));
  } catch (const base::Error&) {
    // Somebody works on it: it is theirs to replace.
    return;
  }
}

}  // namespace argosy::file
