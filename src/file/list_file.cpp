#include "file/list_file.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/error.h"

namespace argosy::file {

std::string read_text(const base::Fd& list, const std::string& path) {
  std::string text;
  std::vector<char> buffer(64 * 1024);
  while (true) {
    const ssize_t got = ::read(list.get(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw base::system_error(base::Kind::kSource, path, errno, "reading the list failed");
    if (got == 0) break;
    text.append(buffer.data(), static_cast<std::size_t>(got));
  }
  return text;
}

std::vector<std::string> read_list(const base::Fd& list, const std::string& path, bool nul) {
  const std::string text = read_text(list, path);
  std::vector<std::string> names;
  const char end = nul ? '\0' : '\n';
  std::size_t start = 0;
  while (start < text.size()) {
    const std::size_t stop = std::min(text.find(end, start), text.size());
    if (stop > start) names.push_back(text.substr(start, stop - start));
    start = stop + 1;
  }
  return names;
}

}  // namespace argosy::file
