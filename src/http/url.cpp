#include "http/url.h"

#include <curl/curl.h>
#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <memory>
#include <span>
#include <utility>

#include "base/digest.h"
#include "base/error.h"

namespace argosy::http {

namespace {

using Handle = std::unique_ptr<CURLU, void (*)(CURLU*)>;

std::string part_of(CURLU* handle, CURLUPart part, unsigned flags = 0) {
  char* text = nullptr;
  if (curl_url_get(handle, part, &text, flags) != CURLUE_OK) return {};
  const std::unique_ptr<char, void (*)(void*)> owner(text, curl_free);
  return text;
}

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

// Where an address has no sense nobody knows where its password ends: nothing before the last '@' is shown.
std::string shown(const std::string& text) {
  const std::size_t at = text.rfind('@');
  return at == std::string::npos ? text : "..." + text.substr(at);
}

}  // namespace

Url parse_url(const std::string& text) {
  const auto refuse = [&text](const std::string& why) { return base::Error(base::Kind::kUsage, shown(text), 0, why); };
  if (text.find("://") == std::string::npos) throw refuse("is no address: it begins with neither http:// nor https://");
  // libcurl would encode some of these and send others as they are.
  if (std::any_of(text.begin(), text.end(), [](unsigned char c) { return c <= ' ' || c == 0x7F; })) {
    throw refuse("is no address: it has a blank or a control character in it");
  }
  const Handle handle(curl_url(), curl_url_cleanup);
  if (!handle) throw std::bad_alloc();
  if (const CURLUcode code = curl_url_set(handle.get(), CURLUPART_URL, text.c_str(), CURLU_NON_SUPPORT_SCHEME);
      code != CURLUE_OK) {
    throw refuse(fmt::format("is no address: {}", curl_url_strerror(code)));
  }
  Url url;
  const std::string scheme = lower(part_of(handle.get(), CURLUPART_SCHEME));
  if (scheme != "http" && scheme != "https") {
    throw refuse(fmt::format("{} is not fetched: only http and https are", base::printable(scheme)));
  }
  url.secure = scheme == "https";
  url.user = part_of(handle.get(), CURLUPART_USER, CURLU_URLDECODE);
  url.password = part_of(handle.get(), CURLUPART_PASSWORD, CURLU_URLDECODE);
  for (const CURLUPart part : {CURLUPART_USER, CURLUPART_PASSWORD, CURLUPART_FRAGMENT}) {
    if (curl_url_set(handle.get(), part, nullptr, 0) != CURLUE_OK) throw refuse("is no address");
  }
  url.text = part_of(handle.get(), CURLUPART_URL);
  url.host =
      lower(part_of(handle.get(), CURLUPART_HOST)) + ":" + part_of(handle.get(), CURLUPART_PORT, CURLU_DEFAULT_PORT);
  url.origin = scheme + "://" + url.host;
  url.path = part_of(handle.get(), CURLUPART_PATH);
  if (url.text.empty()) throw refuse("is no address");
  return url;
}

std::string fingerprint(const Url& url) {
  return fmt::format("{:016x}", base::checksum_of(std::as_bytes(std::span(url.text))));
}

std::string without_credentials(const std::string& text) {
  const std::size_t slashes = text.find("://");
  if (slashes == std::string::npos) return text;
  const std::size_t begin = slashes + 3;
  const std::size_t at = text.substr(0, text.find_first_of("/?#", begin)).rfind('@');
  return at == std::string::npos || at < begin ? text : text.substr(0, begin) + text.substr(at + 1);
}

std::string last_part(const Url& url) {
  std::string part = url.path.substr(url.path.rfind('/') + 1);
  int length = 0;
  char* text = curl_easy_unescape(nullptr, part.c_str(), static_cast<int>(part.size()), &length);
  if (text == nullptr) return part;
  const std::unique_ptr<char, void (*)(void*)> owner(text, curl_free);
  return {text, static_cast<std::size_t>(length)};
}

}  // namespace argosy::http
