#include "cli/job_folder.h"

#include <cstdlib>
#include <filesystem>

namespace argosy::cli {

JobFolder::JobFolder(const std::string& parent) : path_(parent + "/argosy-XXXXXX") {
  if (mkdtemp(path_.data()) == nullptr) path_.clear();
}

JobFolder::~JobFolder() {
  if (path_.empty()) return;
  // What can't be removed stays, as it would have without us.
  std::error_code error;
  std::filesystem::remove_all(path_, error);
}

}  // namespace argosy::cli
