#include "cli/hosts.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>
#include <optional>

#include "base/error.h"
#include "base/fd.h"
#include "cli/units.h"

namespace argosy::cli {

namespace {

constexpr int kMostPlaces = 65536;
constexpr std::size_t kLongestHostfile = 16 << 20;

base::Error usage(std::string message) { return {base::Kind::kUsage, "", 0, std::move(message)}; }

bool is_name_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '_';
}

// "a", "a:2", "[::1]", "[::1]:2"; nothing when it is none of these.
std::optional<Host> parse_host(std::string_view text) {
  Host host;
  if (text.starts_with('[')) {
    const std::size_t end = text.find(']');
    if (end == std::string_view::npos) return std::nullopt;
    host.name = text.substr(1, end - 1);
    std::array<unsigned char, sizeof(in6_addr)> address{};
    if (inet_pton(AF_INET6, host.name.substr(0, host.name.find('%')).c_str(), address.data()) != 1) return std::nullopt;
    text.remove_prefix(end + 1);
  } else {
    const std::size_t end = std::min(text.find(':'), text.size());
    host.name = text.substr(0, end);
    if (host.name.empty() || host.name[0] == '-' ||
        !std::all_of(host.name.begin(), host.name.end(), is_name_character)) {
      return std::nullopt;
    }
    text.remove_prefix(end);
  }
  if (text.empty()) return host;
  if (text[0] != ':') return std::nullopt;
  const auto places = parse_count(text.substr(1));
  if (!places || *places < 1 || *places > kMostPlaces) return std::nullopt;
  host.places = *places;
  return host;
}

void add_host(std::vector<Host>& hosts, Host host) {
  const auto known =
      std::find_if(hosts.begin(), hosts.end(), [&](const Host& other) { return other.name == host.name; });
  if (known == hosts.end()) {
    hosts.push_back(std::move(host));
  } else {
    known->places = std::min(known->places + host.places, kMostPlaces);
  }
}

std::vector<std::string_view> split_words(std::string_view line) {
  std::vector<std::string_view> words;
  constexpr std::string_view kBlank = " \t\r";
  for (std::size_t at = line.find_first_not_of(kBlank); at != std::string_view::npos;) {
    const std::size_t end = std::min(line.find_first_of(kBlank, at), line.size());
    words.push_back(line.substr(at, end - at));
    at = line.find_first_not_of(kBlank, end);
  }
  return words;
}

std::string address_text(const sockaddr& address) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  const void* bytes = nullptr;
  if (address.sa_family == AF_INET) {
    bytes = &reinterpret_cast<const sockaddr_in&>(address).sin_addr;
  } else if (address.sa_family == AF_INET6) {
    bytes = &reinterpret_cast<const sockaddr_in6&>(address).sin6_addr;
  }
  if (bytes == nullptr || inet_ntop(address.sa_family, bytes, text.data(), text.size()) == nullptr) return {};
  return text.data();
}

// Every address of every interface that is up, loopback's included on demand.
std::vector<std::string> interface_addresses(bool with_loopback) {
  ifaddrs* list = nullptr;
  if (getifaddrs(&list) != 0) return {};
  const std::unique_ptr<ifaddrs, decltype(&freeifaddrs)> owner(list, freeifaddrs);
  std::vector<std::string> addresses;
  for (const ifaddrs* one = list; one != nullptr; one = one->ifa_next) {
    if (one->ifa_addr == nullptr || (one->ifa_flags & IFF_UP) == 0) continue;
    if (!with_loopback && (one->ifa_flags & IFF_LOOPBACK) != 0) continue;
    const bool link_local = one->ifa_addr->sa_family == AF_INET6 &&
                            IN6_IS_ADDR_LINKLOCAL(&reinterpret_cast<const sockaddr_in6&>(*one->ifa_addr).sin6_addr);
    std::string text = address_text(*one->ifa_addr);
    if (!text.empty() && !link_local) addresses.push_back(std::move(text));
  }
  return addresses;
}

}  // namespace

std::vector<Host> parse_hosts(std::string_view list) {
  std::vector<Host> hosts;
  while (true) {
    const std::size_t end = std::min(list.find(','), list.size());
    auto host = parse_host(list.substr(0, end));
    if (!host) {
      throw usage(fmt::format("--hosts: '{}' is no host (such as h1, h1:2 for two ranks there, or [fe80::1])",
                              list.substr(0, end)));
    }
    add_host(hosts, *std::move(host));
    if (end == list.size()) return hosts;
    list.remove_prefix(end + 1);
  }
}

std::vector<Host> parse_hostfile(std::string_view text, std::string_view path) {
  std::vector<Host> hosts;
  for (int number = 1; !text.empty(); ++number) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    line = line.substr(0, line.find('#'));
    const auto words = split_words(line);
    if (words.empty()) continue;
    auto host = parse_host(words[0]);
    constexpr std::string_view kSlots = "slots=";
    if (host && words.size() == 2 && words[1].starts_with(kSlots)) {
      const auto slots = parse_count(words[1].substr(kSlots.size()));
      host->places = slots.value_or(0);
      if (host->places < 1 || host->places > kMostPlaces) host.reset();
    } else if (words.size() != 1) {
      host.reset();
    }
    if (!host) {
      throw usage(fmt::format("--hostfile {}: line {} is none of HOST, HOST:RANKS, HOST slots=RANKS",
                              base::printable(path), number));
    }
    add_host(hosts, *std::move(host));
  }
  if (hosts.empty()) throw usage(fmt::format("--hostfile {} names no host", base::printable(path)));
  return hosts;
}

std::vector<Host> read_hostfile(const std::string& path) {
  const auto failed = [&](int error_number) {
    return base::system_error(base::Kind::kUsage, "", error_number,
                              fmt::format("--hostfile {}", base::printable(path)));
  };
  const base::Fd file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.valid()) throw failed(errno);
  std::string text;
  std::array<char, 65536> part;  // NOLINT(cppcoreguidelines-pro-type-member-init): read(2) fills it
  while (true) {
    const ssize_t count = read(file.get(), part.data(), part.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw failed(errno);
    if (count == 0) return parse_hostfile(text, path);
    text.append(part.data(), static_cast<std::size_t>(count));
    if (text.size() > kLongestHostfile) throw failed(EFBIG);
  }
}

std::vector<std::size_t> deal_ranks(const std::vector<Host>& hosts, int ranks) {
  std::vector<std::size_t> dealt;
  while (!hosts.empty() && dealt.size() < static_cast<std::size_t>(ranks)) {
    for (std::size_t host = 0; host < hosts.size(); ++host) {
      const std::size_t left = static_cast<std::size_t>(ranks) - dealt.size();
      dealt.insert(dealt.end(), std::min(left, static_cast<std::size_t>(hosts[host].places)), host);
    }
  }
  return dealt;
}

bool is_this_machine(const std::string& name) {
  if (name == "localhost") return true;
  std::array<char, 256> own{};
  if (gethostname(own.data(), own.size() - 1) == 0) {
    const std::string full = own.data();
    if (name == full || name == full.substr(0, full.find('.'))) return true;
  }
  const auto addresses = interface_addresses(true);
  return std::find(addresses.begin(), addresses.end(), name) != addresses.end();
}

std::vector<std::string> own_addresses() { return interface_addresses(false); }

}  // namespace argosy::cli
