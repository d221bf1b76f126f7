// Hosts as the user names them, and which rank goes to which.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace argosy::cli {

struct Host {
  std::string name;  // an IPv6 address without its brackets
  int places = 1;    // ranks that it takes before the next host's turn
  bool operator==(const Host&) const = default;
};

// "a,b:2,[fe80::1]:3". A host named twice takes the places of both, in the first one's position. Throws base::Error
// (kUsage) on anything that is no list of hosts, a name that a remote shell could take for an option included.
std::vector<Host> parse_hosts(std::string_view list);

// The text of a hostfile: a host a line as "a", "a:2" or "a slots=2", '#' begins a comment. Throws as parse_hosts does,
// with `path` and the line's number.
std::vector<Host> parse_hostfile(std::string_view text, std::string_view path);

// Reads and parses the file; throws base::Error (kUsage) where it can't be read.
std::vector<Host> read_hostfile(const std::string& path);

// The host of every rank: hosts in order, each as many ranks as it has places, from the first again when all are full.
// Indices into `hosts`; empty where there are no hosts.
std::vector<std::size_t> deal_ranks(const std::vector<Host>& hosts, int ranks);

// True when `name` means this machine without asking a name server, which can hang: localhost, this host's name with or
// without its domain, an address of one of its interfaces.
bool is_this_machine(const std::string& name);

// The addresses of this machine that another one may reach: of interfaces that are up, not loopback, not link-local.
std::vector<std::string> own_addresses();

}  // namespace argosy::cli
