#include "file/folder_key.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>

#include "base/error.h"
#include "file/journal.h"

namespace argosy::file {

namespace {

using base::Kind;

// File systems that several hosts may see as one (statfs(2), and what Linux's headers do not name): 9p, AFS, BeeGFS,
// Ceph, CIFS, SMB2, FUSE, GFS2, GPFS, Lustre, NFS, OCFS2, OrangeFS, PanFS.
constexpr std::array<std::uint32_t, 14> kNetwork = {0x01021997, 0x5346414F, 0x19830326, 0x00C36400, 0xFF534D42,
                                                    0xFE534D42, 0x65735546, 0x01161970, 0x47504653, 0x0BD00BD0,
                                                    0x00006969, 0x7461636F, 0x20030528, 0xAAD7AAEA};

}  // namespace

std::string folder_key(const std::string& path, const std::string& shown) {
  struct stat status = {};
  struct statfs system = {};
  if (stat(path.c_str(), &status) != 0 || statfs(path.c_str(), &system) != 0) {
    throw base::system_error(Kind::kSource, shown, errno, "can't be read");
  }
  if (!S_ISDIR(status.st_mode)) throw base::system_error(Kind::kSource, shown, ENOTDIR, "can't be read");
  const auto type = static_cast<std::uint32_t>(system.f_type);
  if (std::find(kNetwork.begin(), kNetwork.end(), type) == kNetwork.end()) {
    return fmt::format("{} {} {}", boot_id(), status.st_dev, status.st_ino);
  }
  return fmt::format("{:x} {} {}.{} {}.{}", type, status.st_ino, status.st_mtim.tv_sec, status.st_mtim.tv_nsec,
                     status.st_ctim.tv_sec, status.st_ctim.tv_nsec);
}

}  // namespace argosy::file
