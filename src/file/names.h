// Which of the listed files have several names: what finds hard links, within a source and between sources. Held is a
// short record of each until all its names have been seen.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>

namespace argosy::file {

class Names {
 public:
  // The path under which a file with this status was noted; nothing where it is seen for the first time.
  std::optional<std::string> noted(const struct stat& status) {
    const auto found = several_.find({status.st_dev, status.st_ino});
    if (found == several_.end()) return std::nullopt;
    if (--found->second.left > 0) return found->second.path;
    return std::move(several_.extract(found).mapped().path);
  }
  void note(const struct stat& status, const std::string& path) {
    several_.emplace(std::pair(status.st_dev, status.st_ino), Several{path, status.st_nlink - 1});
  }

 private:
  struct Several {
    std::string path;
    std::uint64_t left = 0;
  };
  std::map<std::pair<dev_t, ino_t>, Several> several_;
};

}  // namespace argosy::file
