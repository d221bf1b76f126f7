// A walk through one folder and all that is beneath it, a page at a time: what a Reader lists. Folders come before what
// is in them. Held are the names of folders still to be looked into, of the folders on the way down only.
#pragma once

#include <dirent.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/fd.h"
#include "core/filter.h"
#include "core/manifest.h"
#include "core/manifest_check.h"
#include "file/folders.h"
#include "file/metadata.h"
#include "file/names.h"

namespace argosy::file {

// What of a tree is listed.
struct Selection {
  core::Filter filter;
  bool one_file_system = false;
  Metadata metadata = {};
  bool folders = true;   // a source may be one
  bool beneath = false;  // patterns begin in the folder that is the source: its own name does not count
};

// What tells that a folder is left out, such as the transfer's own destination: device and inode.
using FolderId = std::pair<dev_t, ino_t>;

// What a path of the manifest is called in messages: `shown` is the folder as the user named it, `name` the same in the
// manifest.
std::string shown_beneath(const std::string& shown, std::string_view name, std::string_view path);

class Walk {
 public:
  // `path` is a folder (a symbolic link to one is followed), `name` what it is called in the manifest, `shown` in
  // messages. `selection` and `names`, which all sources share, outlive the walk. Blocks. Throws base::Error (kSource).
  Walk(const std::string& path, std::string name, std::string shown, const Selection& selection, Names& names);

  // The next entry, the folder itself first; nothing at the end. What can't be read is appended to `failures` and
  // passed over; of what has attributes that can't be read only these. Nothing, too, where it is interrupted. Blocks.
  std::optional<core::Entry> next(std::vector<base::Failure>& failures);
  // How many names the last entry's file has.
  std::uint64_t links() const { return links_; }
  // Folders that are not to be walked into.
  void leave_out(std::vector<FolderId> folders) { left_out_ = std::move(folders); }
  // Where its files are, by their paths beneath `name`.
  Folders& folders() { return folders_; }
  const std::string& name() const { return name_; }

 private:
  struct Level {
    std::string path;  // beneath the source
    std::vector<std::string> folders;
  };
  std::optional<core::Entry> look_at(const dirent& found, std::vector<base::Failure>& failures);
  std::string shown(std::string_view path) const { return shown_beneath(shown_, name_, path); }
  bool descend(std::vector<base::Failure>& failures);
  void open_listing(std::string path, std::vector<base::Failure>& failures);
  void fill(core::Entry& entry, const struct stat& status, int folder, const std::string& name,
            std::vector<base::Failure>& failures);
  std::optional<core::Entry> top(std::vector<base::Failure>& failures);

  base::Fd base_;
  std::string name_;
  std::string shown_;
  const Selection& selection_;
  Names& names_;
  Folders folders_;
  dev_t device_ = 0;
  bool told_root_ = false;
  std::vector<FolderId> left_out_;
  std::unique_ptr<DIR, int (*)(DIR*)> listing_{nullptr, closedir};
  Level listed_;             // the folder that is being listed
  std::string listed_name_;  // the same in the manifest
  core::FolderNames seen_;   // what has been told of it: readdir may tell twice what is renamed meanwhile
  std::vector<Level> levels_;
  std::uint64_t links_ = 0;
};

}  // namespace argosy::file
