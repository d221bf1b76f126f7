#include "command/fetch_request.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <iterator>
#include <utility>

#include "base/activity.h"
#include "base/error.h"
#include "base/interrupt.h"
#include "command/place.h"
#include "http/checksum.h"
#include "http/header_lines.h"

namespace argosy::command {

namespace {

using base::Kind;

constexpr std::size_t kMostBytes = std::size_t{1} << 30;

std::string read_all(const base::Fd& fd, const std::string& shown) {
  std::string text;
  constexpr std::size_t kPart = 1 << 16;
  while (true) {
    const std::size_t before = text.size();
    text.resize(before + kPart);
    const ssize_t got = read(fd.get(), text.data() + before, kPart);
    if (got < 0 && errno == EINTR && base::interrupted() == 0) {
      text.resize(before);
      continue;
    }
    if (got < 0) throw base::system_error(Kind::kSource, shown, errno, "can't be read");
    text.resize(before + static_cast<std::size_t>(got));
    if (got == 0) return text;
    if (text.size() > kMostBytes) throw base::Error(Kind::kUsage, shown, 0, "is too long");
    base::note_activity();
  }
}

std::string read_file(const std::string& path, const std::string& start_directory) {
  const base::Fd fd(open(absolute(start_directory, path).c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) throw base::system_error(Kind::kSource, path, errno, "can't be read");
  return read_all(fd, path);
}

}  // namespace

FetchRequest read_request(const FetchOptions& asked, const std::string& start_directory,
                          const std::function<base::Fd()>& open_standard_input) {
  FetchRequest request;
  for (const std::string& url : asked.urls) {
    http::Wanted one;
    one.urls = {url};
    request.wanted.push_back(std::move(one));
  }
  for (const std::string& list : asked.lists) {
    const bool standard_input = list == "-";
    const std::string shown = standard_input ? "standard input" : list;
    const std::string text = standard_input ? read_all(open_standard_input(), shown) : read_file(list, start_directory);
    std::vector<http::Wanted> more = http::parse_list(text, shown);
    if (more.empty()) throw base::Error(Kind::kUsage, shown, 0, "names nothing to fetch");
    request.wanted.insert(request.wanted.end(), std::make_move_iterator(more.begin()),
                          std::make_move_iterator(more.end()));
  }
  if (!asked.sha256.empty()) {
    if (request.wanted.size() != 1) {
      throw base::Error(Kind::kUsage, {}, 0,
                        fmt::format("--sha256 is of one object, and there are {}", request.wanted.size()));
    }
    const auto checksum = http::checksum_from_hex("sha-256", asked.sha256);
    if (!checksum) throw base::Error(Kind::kUsage, {}, 0, "--sha256: 64 hexadecimal digits are needed");
    request.wanted.front().checksums.push_back(*checksum);
  }
  if (!asked.header_file.empty()) {
    request.setup.http.headers =
        http::parse_header_lines(read_file(asked.header_file, start_directory), asked.header_file);
  }
  if (!asked.cacert.empty()) {
    request.setup.http.certificates = read_file(asked.cacert, start_directory);
    if (request.setup.http.certificates.find("-----BEGIN") == std::string::npos) {
      throw base::Error(Kind::kUsage, asked.cacert, 0, "has no certificate in it (PEM)");
    }
  }
  request.setup.http.insecure = asked.insecure;
  request.setup.http.timeout = asked.timeout;
  return request;
}

}  // namespace argosy::command
