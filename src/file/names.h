// Which of the listed files have several names: what finds hard links, within a source and between sources. Held is a
// short record of each until all its names have been seen, some 90 bytes.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "file/folders.h"

namespace argosy::file {

class Names {
 public:
  // The path under which a file with this status was noted; nothing where it is seen for the first time.
  std::optional<std::string> noted(const struct stat& status) {
    const auto found = several_.find(id_of(status));
    if (found == several_.end()) return std::nullopt;
    const Several& file = found->second;
    std::string path = folders_[file.folder] + file.name;
    if (--found->second.left > 0) return path;
    several_.erase(found);
    if (several_.empty()) folders_.clear();
    return path;
  }
  void note(const struct stat& status, const std::string& path) {
    const std::string_view name = name_of(path);
    const std::string_view folder = std::string_view(path).substr(0, path.size() - name.size());
    // What is in a folder is listed side by side.
    if (folders_.empty() || folders_.back() != folder) folders_.emplace_back(folder);
    several_.emplace(id_of(status),
                     Several{std::string(name), static_cast<std::uint32_t>(folders_.size() - 1), status.st_nlink - 1});
  }

 private:
  using Id = std::pair<dev_t, ino_t>;
  struct Hash {
    std::size_t operator()(const Id& id) const noexcept {
      return std::hash<ino_t>()(id.second) ^ (std::hash<dev_t>()(id.first) << 40U);
    }
  };
  struct Several {
    std::string name;
    std::uint32_t folder = 0;  // with its slash
    std::uint64_t left = 0;
  };
  static Id id_of(const struct stat& status) { return {status.st_dev, status.st_ino}; }

  std::unordered_map<Id, Several, Hash> several_;
  std::vector<std::string> folders_;
};

}  // namespace argosy::file
