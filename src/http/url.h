// What is asked for: http and https addresses, taken apart by libcurl's own parser, so that this program and libcurl
// never disagree about the host.
#pragma once

#include <string>

namespace argosy::http {

struct Url {
  std::string text;      // absolute, without user name, password and fragment: what is asked, and what may be shown
  std::string origin;    // "https://host:port", in lower case: who is asked, and whom credentials belong to
  std::string host;      // "host:port", as the report shows it
  std::string path;      // as it stands in the address, percent signs and all
  std::string user;      // given with the address
  std::string password;  // given with the address
  bool secure = false;   // https
};

// Throws base::Error (kUsage): no address, or of a scheme other than http and https. Its message has no password.
Url parse_url(const std::string& text);

// The last part of the path, its percent signs resolved; may be empty, and anything that a name must not be.
std::string last_part(const Url& url);

// A word by which the address can be known again, and which has none of what may be secret in it.
std::string fingerprint(const Url& url);

// `text` without what may be a user name and a password in an address; as it is where it is no address.
std::string without_credentials(const std::string& text);

}  // namespace argosy::http
