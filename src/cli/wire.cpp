#include "cli/wire.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <memory>

#include "base/error.h"
#include "cli/units.h"

namespace argosy::cli {

std::string format_place(const ChannelPlace& place) {
  std::string text = fmt::format("{},{}", place.token, place.port);
  for (const std::string& address : place.addresses) text += "," + address;
  return text;
}

std::optional<ChannelPlace> parse_place(std::string_view text) {
  std::vector<std::string> fields;
  while (true) {
    const std::size_t end = std::min(text.find(','), text.size());
    fields.emplace_back(text.substr(0, end));
    if (end == text.size()) break;
    text.remove_prefix(end + 1);
  }
  if (fields.size() < 3 || fields[0].empty()) return std::nullopt;
  const auto port = parse_count(fields[1]);
  if (!port || *port < 1 || *port > 65535) return std::nullopt;
  return ChannelPlace{fields[0], static_cast<std::uint16_t>(*port), {fields.begin() + 2, fields.end()}};
}

std::string random_token() {
  std::array<unsigned char, 16> bytes{};
  // Requests of up to 256 bytes are never cut short once the kernel's pool is ready (getrandom(2)).
  while (getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) {
    if (errno != EINTR) throw base::system_error(base::Kind::kSystem, "", errno, "getrandom");
  }
  std::string token;
  for (const unsigned char byte : bytes) token += fmt::format("{:02x}", byte);
  return token;
}

std::string hello_line(std::string_view token, std::string_view purpose) {
  return fmt::format("argosy1 {} {}\n", token, purpose);
}

std::string bytes_as_text(std::string_view bytes) {
  std::string text;
  text.reserve(bytes.size());
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x80) {
      text += c;
    } else {
      text += static_cast<char>(0xC0 | (byte >> 6));
      text += static_cast<char>(0x80 | (byte & 0x3F));
    }
  }
  return text;
}

std::string text_as_bytes(std::string_view text) {
  std::string bytes;
  bytes.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if (byte < 0x80) {
      bytes += text[i];
    } else if ((byte == 0xC2 || byte == 0xC3) && i + 1 < text.size()) {
      const unsigned low = static_cast<unsigned char>(text[++i]) & 0x3FU;
      bytes += static_cast<char>((byte & 3U) << 6 | low);
    }
  }
  return bytes;
}

bool same_token(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  unsigned char difference = 0;
  for (std::size_t i = 0; i < a.size(); ++i) difference |= static_cast<unsigned char>(a[i] ^ b[i]);
  return difference == 0;
}

LineReader::State LineReader::read(int fd, std::vector<std::string>& lines) {
  constexpr std::size_t kPartBytes = 65536;
  constexpr std::size_t kMostBytes = 16 * kPartBytes;
  const auto part = std::make_unique<char[]>(kPartBytes);
  // Bounded, so that whoever writes without end can't keep the caller from its other work.
  for (std::size_t total = 0; total < kMostBytes;) {
    const ssize_t count = ::read(fd, part.get(), kPartBytes);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return State::kOpen;
    if (count < 0) {
      error_number_ = errno;
      return State::kBroken;
    }
    if (count == 0) return State::kEnd;
    total += static_cast<std::size_t>(count);
    std::string_view fresh(part.get(), static_cast<std::size_t>(count));
    for (std::size_t end = fresh.find('\n'); end != std::string_view::npos; end = fresh.find('\n')) {
      if (rest_.size() + end > longest_) return State::kTooLong;
      lines.push_back(std::move(rest_.append(fresh.substr(0, end))));
      rest_.clear();
      fresh.remove_prefix(end + 1);
    }
    if (rest_.size() + fresh.size() > longest_) return State::kTooLong;
    rest_.append(fresh);
  }
  return State::kOpen;
}

base::Fd start_connect(const std::string& address, std::uint16_t port, std::string& error) {
  sockaddr_storage place{};
  socklen_t length = 0;
  auto& v4 = reinterpret_cast<sockaddr_in&>(place);
  auto& v6 = reinterpret_cast<sockaddr_in6&>(place);
  if (inet_pton(AF_INET, address.c_str(), &v4.sin_addr) == 1) {
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    length = sizeof v4;
  } else if (inet_pton(AF_INET6, address.c_str(), &v6.sin6_addr) == 1) {
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(port);
    length = sizeof v6;
  } else {
    error = "no address";
    return {};
  }
  base::Fd fd(socket(place.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd.valid()) {
    error = std::strerror(errno);
    return {};
  }
  // A frame is one small write that the other side waits for. Refused, it only comes later.
  const int on = 1;
  static_cast<void>(setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on));
  if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&place), length) != 0 && errno != EINPROGRESS) {
    error = std::strerror(errno);
    return {};
  }
  return fd;
}

int poll_timeout(Clock::time_point deadline) {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now());
  return static_cast<int>(std::clamp<std::int64_t>(left.count(), 0, 60'000));
}

}  // namespace argosy::cli
