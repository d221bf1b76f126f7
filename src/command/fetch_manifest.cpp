#include "command/fetch_manifest.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <optional>
#include <span>

#include "base/bytes.h"
#include "base/error.h"
#include "base/fd.h"
#include "command/saved_manifest.h"
#include "core/manifest.h"
#include "file/compare.h"
#include "file/digest_file.h"
#include "file/folders.h"

namespace argosy::command {

namespace {

using base::Kind;

constexpr std::size_t kLongestDigest = 64;

// What stands in the folder; nothing where there is no such file.
std::optional<core::Entry> look_at(file::Folders& folders, const file::Folder& folder, const std::string& name) {
  struct stat status = {};
  const auto above = folders.open(file::parent_of(name));
  const std::string leaf(file::name_of(name));
  if (!above || fstatat(above->fd.get(), leaf.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
    if (errno == ENOENT) return std::nullopt;
    throw base::system_error(Kind::kDestination, folder.shown(name), errno, "can't be looked at for the manifest");
  }
  const file::Place place{folders, name};
  core::Entry entry = file::entry_of(place, status, folder.shown(name));
  entry.path = name;
  entry.attributes = file::attributes_of(place, folder.shown(name));
  return entry;
}

base::Digest digest_of(file::Folders& folders, const file::Folder& folder, const core::Entry& entry) {
  const auto above = folders.open(file::parent_of(entry.path));
  const std::string leaf(file::name_of(entry.path));
  const base::Fd fd(above ? openat(above->fd.get(), leaf.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK) : -1);
  const auto digest = fd.valid() ? file::digest_of_fd(fd.get(), entry.size) : std::nullopt;
  if (!digest) throw base::Error(Kind::kDestination, folder.shown(entry.path), EIO, "can't be read for the manifest");
  return *digest;
}

}  // namespace

std::string text_of(const std::vector<Placed>& placed) {
  std::vector<std::byte> bytes;
  base::Writer writer(bytes);
  for (const Placed& one : placed) {
    writer.put_string(one.name);
    writer.put_string(one.digest);
  }
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

void save_fetched(const std::string& path, const std::string& text, const file::Folder& folder) {
  SavedManifest manifest(path);
  file::Folders folders(folder.fd());
  base::Reader reader(std::as_bytes(std::span(text)));
  while (reader.left() > 0) {
    const std::string name = reader.get_string(core::kLongestPath);
    const std::string digest = reader.get_string(kLongestDigest);
    if (!reader.ok() || !core::is_safe_path(name))
      throw base::Error(Kind::kIntegrity, {}, 0, "what was fetched came damaged from rank 0");
    const auto entry = look_at(folders, folder, name);
    if (!entry) continue;
    const auto known = digest_of_text(digest);
    manifest.add(*entry, known ? *known : digest_of(folders, folder, *entry));
    manifest.write_out();
  }
  manifest.finish();
}

}  // namespace argosy::command
