#include "command/place.h"

namespace argosy::command {

std::string absolute(const std::string& start, const std::string& path) {
  if (path.starts_with('/')) return path;
  return start.ends_with('/') ? start + path : start + '/' + path;
}

std::string base_name(const std::string& path) {
  const std::size_t end = path.find_last_not_of('/');
  if (end == std::string::npos) return {};
  const std::size_t slash = path.rfind('/', end);
  const std::size_t start = slash == std::string::npos ? 0 : slash + 1;
  return path.substr(start, end + 1 - start);
}

std::string expand(const std::string& directory, int rank, const std::string& host) {
  std::string expanded;
  for (std::size_t i = 0; i < directory.size(); ++i) {
    if (directory[i] != '%' || i + 1 == directory.size()) {
      expanded += directory[i];
      continue;
    }
    switch (directory[++i]) {
      case 'r':
        expanded += std::to_string(rank);
        break;
      case 'h':
        expanded += host.substr(0, host.find('.'));
        break;
      default:
        expanded += directory[i];
    }
  }
  return expanded;
}

bool has_template(const std::string& directory, char letter) {
  for (std::size_t at = directory.find('%'); at != std::string::npos; at = directory.find('%', at + 2)) {
    if (at + 1 < directory.size() && directory[at + 1] == letter) return true;
  }
  return false;
}

}  // namespace argosy::command
