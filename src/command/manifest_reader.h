// A saved manifest, line by line (doc/trees.md).
#pragma once

#include <cstdint>
#include <fstream>
#include <optional>
#include <string>

#include "core/manifest.h"

namespace argosy::command {

class ManifestReader {
 public:
  struct Line {
    core::Entry entry;
    std::string text;
  };
  // Blocks, as next() does. Both throw base::Error (kSource): it can't be read, is none, or is damaged. What has been
  // cut short is refused here, unless it comes through a pipe.
  explicit ManifestReader(std::string path);
  // Nothing at the end.
  std::optional<Line> next();

 private:
  std::string path_;
  std::ifstream lines_;
  std::int64_t count_ = 0;
  bool ended_ = false;
};

}  // namespace argosy::command
