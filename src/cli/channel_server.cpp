#include "cli/channel_server.h"

#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "cli/hosts.h"

namespace argosy::cli {

namespace {

constexpr std::size_t kMostGuests = 64;
constexpr std::chrono::seconds kGuestTimeout(10);
constexpr int kBacklog = 64;

sockaddr_in6 any_address(int family, bool loopback) {
  sockaddr_in6 place{};
  if (family == AF_INET6) {
    place.sin6_family = AF_INET6;
    place.sin6_addr = in6addr_any;
  } else {
    auto& v4 = reinterpret_cast<sockaddr_in&>(place);
    v4.sin_family = AF_INET;
    v4.sin_addr.s_addr = htonl(loopback ? INADDR_LOOPBACK : INADDR_ANY);
  }
  return place;
}

// A listening socket, or an invalid one with errno set. IPv6 sockets take IPv4 connections, too.
base::Fd listen_at(int family, bool loopback) {
  base::Fd fd(socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return fd;
  const int off = 0;
  if (family == AF_INET6 && setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off) != 0) return {};
  const sockaddr_in6 place = any_address(family, loopback);
  const socklen_t length = family == AF_INET6 ? sizeof(sockaddr_in6) : sizeof(sockaddr_in);
  if (bind(fd.get(), reinterpret_cast<const sockaddr*>(&place), length) != 0) return {};
  if (listen(fd.get(), kBacklog) != 0) return {};
  return fd;
}

std::uint16_t port_of(int fd) {
  sockaddr_in6 place{};
  socklen_t length = sizeof place;
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&place), &length) != 0) {
    throw base::system_error(base::Kind::kSystem, "", errno, "getsockname");
  }
  // Both families have the port at the same place.
  return ntohs(place.sin6_port);
}

// The line with which a connection opens, taken from its socket and nothing behind it: an empty string while it isn't
// there as a whole, nothing when it never will be.
std::optional<std::string> take_hello(int fd) {
  std::array<char, kLongestHello> text{};
  const ssize_t seen = recv(fd, text.data(), text.size(), MSG_PEEK);
  if (seen < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) return "";
  if (seen <= 0) return std::nullopt;
  const std::string_view all(text.data(), static_cast<std::size_t>(seen));
  const std::size_t end = all.find('\n');
  if (end == std::string_view::npos) return all.size() < text.size() ? std::optional<std::string>("") : std::nullopt;
  if (recv(fd, text.data(), end + 1, 0) != static_cast<ssize_t>(end + 1)) return std::nullopt;
  return std::string(text.data(), end + 1);
}

}  // namespace

ChannelServer::ChannelServer(bool this_machine_only) {
  if (!this_machine_only) listener_ = listen_at(AF_INET6, false);
  if (!listener_.valid()) listener_ = listen_at(AF_INET, this_machine_only);
  if (!listener_.valid()) throw base::system_error(base::Kind::kSystem, "", errno, "listening for rank 0");
  place_ = {random_token(), port_of(listener_.get()), {"127.0.0.1"}};
  if (this_machine_only) return;
  for (std::string& address : own_addresses()) place_.addresses.push_back(std::move(address));
}

void ChannelServer::add_to_poll(std::vector<pollfd>& fds) const {
  fds.push_back({listener_.get(), POLLIN, 0});
  for (const Guest& guest : guests_) fds.push_back({guest.fd.get(), POLLIN, 0});
  if (control_.valid()) fds.push_back({control_.get(), POLLIN, 0});
}

void ChannelServer::serve(std::vector<nlohmann::json>& frames) {
  accept_all();
  for (Guest& guest : guests_) greet(guest);
  std::erase_if(guests_, [](const Guest& guest) { return guest.done; });
  if (!control_.valid()) return;
  std::vector<std::string> lines;
  const auto state = reader_.read(control_.get(), lines);
  bool sense = true;
  for (const std::string& line : lines) {
    auto frame = nlohmann::json::parse(line, nullptr, false);
    sense = sense && frame.is_object();
    if (frame.is_object()) frames.push_back(std::move(frame));
  }
  if (state != LineReader::State::kOpen || !sense) control_ = base::Fd();
}

void ChannelServer::accept_all() {
  while (true) {
    base::Fd fd(accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!fd.valid()) return;  // none waiting, or none that can be had now
    // Whoever fills the room with connections that say nothing is put out, the oldest first.
    if (guests_.size() >= kMostGuests) guests_.erase(guests_.begin());
    guests_.push_back({std::move(fd), Clock::now()});
  }
}

void ChannelServer::greet(Guest& guest) {
  const auto hello = take_hello(guest.fd.get());
  if (hello && hello->empty()) {
    guest.done = Clock::now() - guest.since > kGuestTimeout;
    return;
  }
  guest.done = true;
  if (!hello) return;
  if (!had_control_ && same_token(*hello, hello_line(place_.token, "control"))) {
    // A frame is one small write that rank 0 waits for. Refused, it only comes later.
    const int on = 1;
    static_cast<void>(setsockopt(guest.fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on));
    control_ = std::move(guest.fd);
    had_control_ = true;
    send("hello");
  } else if (same_token(*hello, hello_line(place_.token, "stdin"))) {
    standard_input_ = std::move(guest.fd);
  } else if (same_token(*hello, hello_line(place_.token, "stdout"))) {
    standard_output_ = std::move(guest.fd);
  }
}

void ChannelServer::send(const char* type) {
  if (!control_.valid()) return;
  const std::string line = nlohmann::json{{"type", type}}.dump() + "\n";
  // A few short lines in a whole job always find room in the socket: a failure means that rank 0 is gone.
  if (::send(control_.get(), line.data(), line.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(line.size())) {
    control_ = base::Fd();
  }
}

}  // namespace argosy::cli
