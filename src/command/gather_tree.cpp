#include "command/gather_tree.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "base/error.h"
#include "command/place.h"
#include "command/sources.h"
#include "file/digest_file.h"
#include "file/disk.h"
#include "file/temporary.h"

namespace argosy::command {

namespace {

using base::Kind;

// A file that goes with its last descriptor.
base::Fd open_nameless(int folder, const std::string& name, const std::string& shown) {
  base::Fd fd(openat(folder, ".", O_RDWR | O_TMPFILE | O_CLOEXEC, 0600));
  if (fd.valid()) return fd;
  // Not every file system has such files. The name is no target's: another run may write OUT's own.
  const std::string temporary = file::temporary_name(name + "/");
  static_cast<void>(unlinkat(folder, temporary.c_str(), 0));
  fd = base::Fd(openat(folder, temporary.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!fd.valid()) throw base::system_error(Kind::kDestination, shown, errno, "can't be written");
  if (unlinkat(folder, temporary.c_str(), 0) != 0) {
    throw base::system_error(Kind::kDestination, shown, errno, "can't be written");
  }
  return fd;
}

}  // namespace

std::optional<file::SignedTree> tree_in_place(const std::string& out, const core::StripeManifest& striped,
                                              const TreeOptions& wanted) {
  struct stat status = {};
  if (!striped.signature || lstat(out.c_str(), &status) != 0 || !S_ISDIR(status.st_mode)) return std::nullopt;
  file::Selection all;
  all.metadata = metadata_of(wanted);
  auto found = file::sign_tree(out, base_name(out), all);
  if (found && !file::agree(found->signature, *striped.signature, all.metadata)) found.reset();
  return found;
}

GatheredTree::GatheredTree(const std::string& above, std::string name, const GatherOptions& asked,
                           const CommonOptions& common, std::int64_t size)
    : above_(above, size),
      name_(std::move(name)),
      asked_(asked),
      common_(common),
      size_(size),
      shown_(above_.shown(name_)) {
  try {
    struct stat status = {};
    if (fstatat(above_.fd(), name_.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISDIR(status.st_mode)) {
      throw base::system_error(Kind::kDestination, shown_, ENOTDIR, "can't be replaced by a folder");
    }
    fd_ = open_nameless(above_.fd(), name_, shown_);
    file::take_room(fd_.get(), size_, shown_);
  } catch (const base::Error&) {
    above_.remove_made();
    throw;
  }
}

void GatheredTree::put(const core::Cell& cell, const core::Row& /*row*/, std::span<const std::byte> data) {
  file::write_at(fd_.get(), cell.offset, data, shown_);
}

std::optional<base::Digest> GatheredTree::digest() const { return file::digest_of_fd(fd_.get(), size_); }

file::Unpacked GatheredTree::unpack(SavedManifest* manifest) {
  // What is refused must not have begun.
  file::check_tree(fd_.get(), size_, shown_);
  struct stat status = {};
  file::Writer::Settings how;
  how.fsync = common_.fsync;
  how.read_back = common_.read_back;
  // The bytes are here: whatever stands there is written anew, and can't be something else of that size and time.
  how.metadata = metadata_of(asked_.tree);
  how.publish = fstatat(above_.fd(), name_.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0;
  how.journals = false;
  if (manifest != nullptr) how.manifest = put_into(*manifest);
  file::Writer writer(&above_, how);
  const bool digests = common_.read_back || manifest != nullptr;
  file::Unpacked unpacked = file::unpack_tree(fd_.get(), size_, name_, writer, shown_, digests);
  const file::Writer::Finished finished = writer.finish();
  unpacked.files += static_cast<std::int64_t>(finished.hard_links) - finished.files_lost;
  unpacked.bytes -= finished.bytes_lost;
  unpacked.failures.add(finished.failures);
  if (writer.has_trees()) writer.publish_trees();
  if (common_.fsync) above_.sync();
  return unpacked;
}

void GatheredTree::leave(bool stays) {
  fd_ = base::Fd();
  if (!stays) above_.remove_made();
}

}  // namespace argosy::command
