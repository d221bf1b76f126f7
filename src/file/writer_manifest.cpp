// The part of the Writer that tells what stands at the destination, for a manifest that is saved of it: as it is there,
// which is not in all what it was to be.
#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <unordered_set>
#include <utility>

#include "base/digest.h"
#include "base/error.h"
#include "base/interrupt.h"
#include "file/digest_file.h"
#include "file/temporary.h"
#include "file/writer.h"

namespace argosy::file {

namespace {

using base::Kind;
using core::Type;

}  // namespace

// What is in `folder`, or with an empty name that folder itself, and has been told as `entry`.
void Writer::put_in_manifest(int folder, const std::string& name, const core::Entry& entry,
                             const std::optional<base::Digest>& digest) {
  core::Entry here;
  here.path = told_path(entry.path);
  here.type = entry.type;
  struct stat status = {};
  const std::string shown = this->shown(entry);
  if (fstatat(folder, name.c_str(), &status, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) != 0)
    throw base::system_error(Kind::kDestination, shown, errno, "can't be looked at for the manifest");
  if (entry.type == Type::kFile) here.size = status.st_size;
  here.mode = status.st_mode & 07777U;
  here.uid = status.st_uid;
  here.gid = status.st_gid;
  here.mtime = timestamp(status.st_mtim);
  here.link = entry.link;
  here.device = entry.device;
  if (may_have_attributes(entry.type)) here.attributes = read_attributes(folder, name, shown);
  settings_.manifest(here, digest);
}

void Writer::put_in_manifest(const core::Entry& entry, const OpenFolder& above,
                             const std::optional<base::Digest>& digest) {
  if (!settings_.manifest) return;
  try {
    put_in_manifest(above.fd.get(), std::string(name_of(entry.path)), entry, digest);
  } catch (const base::Error& error) {
    lacks(error.failure());
  }
}

// A file that did not move: its digest is that of what stands there, unless it is known.
void Writer::put_in_place_in_manifest(const core::Entry& entry, const OpenFolder& above) {
  if (!settings_.manifest) return;
  std::optional<base::Digest> digest = settings_.checksum ? entry.digest : std::nullopt;
  if (!digest) {
    const std::string name(name_of(entry.path));
    const base::Fd fd(openat(above.fd.get(), name.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK));
    const int error_number = fd.valid() ? EIO : errno;
    if (fd.valid()) digest = digest_of_fd(fd.get(), entry.size);
    if (!digest) {
      if (base::interrupted() != 0) return;
      return lacks(base::system_error(Kind::kDestination, shown(entry), error_number,
                                      "is in place, but can't be read for the manifest")
                       .failure());
    }
  }
  put_in_manifest(entry, above, digest);
}

void Writer::put_link_in_manifest(const LinkRecord& link) {
  if (!settings_.manifest) return;
  core::Entry here;
  here.path = told_path(link.path);
  here.type = Type::kHardLink;
  here.link = told_path(link.first);
  settings_.manifest(here, std::nullopt);
}

// When all of them have what they get: of one that several have told of there is one line.
void Writer::put_folders_in_manifest(const std::vector<core::Entry>& folders) {
  std::unordered_set<std::uint64_t> seen;
  for (const core::Entry& entry : folders) {
    if (!seen.insert(hash_of(entry.path)).second) continue;
    const auto folder = folders_->open(entry.path);
    if (!folder) continue;  // told by finish_folder()
    try {
      put_in_manifest(folder->fd.get(), {}, entry, std::nullopt);
    } catch (const base::Error& error) {
      lacks(error.failure());
    }
  }
}

}  // namespace argosy::file
