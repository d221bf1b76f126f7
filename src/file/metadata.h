// What a file is besides its data: owner, mode, times, extended attributes and ACLs, read for a manifest and set from
// one.
#pragma once

#include <sys/stat.h>

#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "core/manifest.h"

namespace argosy::file {

// What of a file's metadata is moved.
struct Metadata {
  bool owner = true;  // by id, as far as this process may
  bool mode = true;
  bool times = true;
  bool attributes = true;  // ACLs are attributes
};

core::Timestamp timestamp(const timespec& time);
timespec to_timespec(const core::Timestamp& time);

// The attributes of `name` in the open folder `folder`, not following a symbolic link, or with an empty name those of
// what `folder` itself refers to: user.*, the ACLs, and as root trusted.* and security.*, less the labels of the
// kernel's security modules. Sorted by name. Blocks. Throws base::Error (kSource) about `shown`.
std::vector<core::Attribute> read_attributes(int folder, const std::string& name, const std::string& shown);

// False for what has none that this process could move: a symbolic link has only root's.
bool may_have_attributes(core::Type type);

// Whether those that this process may set are the same. Both sorted by name.
bool same_attributes(const std::vector<core::Attribute>& there, const std::vector<core::Attribute>& told);

// Gives `name` in `folder`, not following a symbolic link, exactly these attributes, those of other kinds aside; why
// not, where they can't be set.
[[nodiscard]] std::optional<base::Failure> set_attributes_at(int folder, const std::string& name,
                                                             const std::vector<core::Attribute>& attributes,
                                                             const std::string& shown);

// Gives `fd`, which has `status` now, the owner, attributes, mode and times of `entry`. Set-id bits go only with their
// owner. `fresh`: no attribute can be there yet. Throws base::Error (kDestination). Attributes that can't be set don't
// keep the rest from it: why they can't is returned.
[[nodiscard]] std::optional<base::Failure> set_metadata(int fd, const struct stat& status, const core::Entry& entry,
                                                        const Metadata& what, bool fresh, const std::string& shown);

// The mode that `entry` has with that owner: set-id bits say "with the owner's rights".
mode_t mode_for(const core::Entry& entry, uid_t uid, gid_t gid);

// Whether owner and group, or the mode, are the entry's, as far as they are wanted and this process may set them.
bool same_owner(const struct stat& status, const core::Entry& entry, const Metadata& what);
bool same_mode(const struct stat& status, const core::Entry& entry, const Metadata& what);

// The umask of this process.
mode_t file_creation_mask();

}  // namespace argosy::file
