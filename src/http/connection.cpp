#include "http/connection.h"

#include <curl/curl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cctype>
#include <cstdlib>
#include <mutex>
#include <optional>
#include <utility>

#include "base/activity.h"
#include "base/error.h"

namespace argosy::http {

namespace {

using Clock = std::chrono::steady_clock;

constexpr int kMostRedirects = 10;
constexpr std::size_t kMostHeaderBytes = 128 * 1024;
constexpr std::int64_t kMostErrorBytes = 64 * 1024;  // of a body that nobody wants, before the connection is dropped
constexpr long kBufferBytes = 256 * 1024;
constexpr int kPollMilliseconds = 200;
// A body that comes more slowly than this for so long does not come at all.
constexpr std::int64_t kLeastSpeed = 10;  // bytes a second
constexpr double kCrawlSeconds = 30;

struct EasyDeleter {
  void operator()(CURL* handle) const { curl_easy_cleanup(handle); }
};
struct ListDeleter {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};

void append(std::unique_ptr<curl_slist, ListDeleter>& list, const std::string& line) {
  curl_slist* longer = curl_slist_append(list.get(), line.c_str());
  if (longer == nullptr) throw std::bad_alloc();
  static_cast<void>(list.release());
  list.reset(longer);
}

template <typename Value>
void set(CURL* handle, CURLoption option, Value value) {
  const CURLcode code = curl_easy_setopt(handle, option, value);
  if (code == CURLE_OK) return;
  throw base::Error(base::Kind::kSystem, {}, 0, fmt::format("libcurl: {}", curl_easy_strerror(code)));
}

bool is_redirect(int status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

// A fault of the address, the certificate or the protocol, which the next try would meet again.
bool is_permanent(CURLcode code) {
  constexpr std::array kPermanent = {CURLE_UNSUPPORTED_PROTOCOL,     CURLE_URL_MALFORMAT,    CURLE_WEIRD_SERVER_REPLY,
                                     CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_CERTPROBLEM,  CURLE_SSL_CIPHER,
                                     CURLE_SSL_CACERT_BADFILE,       CURLE_SSL_ISSUER_ERROR, CURLE_BAD_CONTENT_ENCODING,
                                     CURLE_TOO_MANY_REDIRECTS,       CURLE_LOGIN_DENIED};
  return std::find(kPermanent.begin(), kPermanent.end(), code) != kPermanent.end();
}

// In the user's home, where libcurl looks for it, too.
bool is_there(const char* name) {
  const char* home = std::getenv("HOME");
  return home == nullptr || access((std::string(home) + "/" + name).c_str(), R_OK) == 0;
}

void start_libcurl() {
  static std::once_flag once;
  std::call_once(once, [] {
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
      throw base::Error(base::Kind::kSystem, {}, 0, "libcurl can't start");
    }
  });
}

}  // namespace

struct Connection::State {
  explicit State(const Settings& the_settings) : settings(the_settings) {}

  void prepare(const Request& request, const Url& url);
  void one_hop(const Request& request, const Url& url);
  void head_ended();
  std::size_t header(std::string_view line);
  std::size_t data(std::span<const std::byte> bytes);
  void finish(CURLcode code);
  std::string too_late();

  // libcurl is C: no exception may pass it.
  static std::size_t on_header(char* text, std::size_t size, std::size_t count, void* self) noexcept {
    auto& state = *static_cast<State*>(self);
    try {
      return state.header({text, size * count});
    } catch (const std::exception& error) {
      state.broken = error.what();
      return 0;
    }
  }
  static std::size_t on_data(char* bytes, std::size_t size, std::size_t count, void* self) noexcept {
    auto& state = *static_cast<State*>(self);
    try {
      return state.data(std::as_bytes(std::span(bytes, size * count)));
    } catch (const std::exception& error) {
      state.broken = error.what();
      return 0;
    }
  }

  const Settings& settings;
  std::unique_ptr<CURLM, void (*)(CURLM*)> multi{curl_multi_init(), [](CURLM* one) { curl_multi_cleanup(one); }};
  std::unique_ptr<CURL, EasyDeleter> easy{curl_easy_init()};
  std::unique_ptr<curl_slist, ListDeleter> headers;
  std::atomic<bool> cancelled{false};
  // libcurl would look for it at each request.
  const bool has_netrc = is_there(".netrc");

  // Of the request under way.
  Body* body = nullptr;
  Result result;
  std::string next;  // where a redirect leads
  std::size_t header_bytes = 0;
  bool head_done = false;
  bool wanted = false;  // the body is taken, and not dropped
  bool refused = false;
  std::string broken;  // why the answer is none
  Clock::time_point last_byte;
  Clock::time_point began;     // this hop
  Clock::time_point measured;  // since when the body's speed is measured
  std::int64_t measured_at = 0;
};

void Connection::State::prepare(const Request& request, const Url& url) {
  CURL* handle = easy.get();
  curl_easy_reset(handle);
  headers.reset();
  set(handle, CURLOPT_URL, url.text.c_str());
  set(handle, CURLOPT_NOSIGNAL, 1L);
  set(handle, CURLOPT_PROTOCOLS_STR, "http,https");
  set(handle, CURLOPT_FOLLOWLOCATION, 0L);
  set(handle, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  set(handle, CURLOPT_BUFFERSIZE, kBufferBytes);
  set(handle, CURLOPT_TCP_KEEPALIVE, 1L);
  set(handle, CURLOPT_USERAGENT, "argosy");
  set(handle, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(std::max(1.0, settings.timeout * 1000)));
  set(handle, CURLOPT_HEADERFUNCTION, &State::on_header);
  set(handle, CURLOPT_HEADERDATA, this);
  set(handle, CURLOPT_WRITEFUNCTION, &State::on_data);
  set(handle, CURLOPT_WRITEDATA, this);
  if (settings.insecure) {
    set(handle, CURLOPT_SSL_VERIFYPEER, 0L);
    set(handle, CURLOPT_SSL_VERIFYHOST, 0L);
  }
  if (!settings.certificates.empty()) {
    curl_blob blob = {const_cast<char*>(settings.certificates.data()), settings.certificates.size(), CURL_BLOB_NOCOPY};
    set(handle, CURLOPT_CAINFO_BLOB, &blob);
  }
  // Ranges are to come over connections of their own; where all of an object is asked for, HTTP/2 may serve it.
  set(handle, CURLOPT_HTTP_VERSION, request.length > 0 ? CURL_HTTP_VERSION_1_1 : CURL_HTTP_VERSION_2TLS);
  // A name given with the address comes first.
  if (has_netrc) set(handle, CURLOPT_NETRC, static_cast<long>(CURL_NETRC_OPTIONAL));
  if (url.origin == request.url.origin) {
    if (!request.url.user.empty()) {
      set(handle, CURLOPT_USERNAME, request.url.user.c_str());
      set(handle, CURLOPT_PASSWORD, request.url.password.c_str());
    }
    for (const std::string& line : settings.headers) append(headers, line);
  }
  append(headers, "Accept-Encoding: identity");
  if (!request.if_none_match.empty()) append(headers, "If-None-Match: " + request.if_none_match);
  if (!request.if_match.empty()) append(headers, "If-Match: " + request.if_match);
  if (!request.if_range.empty()) append(headers, "If-Range: " + request.if_range);
  set(handle, CURLOPT_HTTPHEADER, headers.get());
  if (request.length > 0) {
    set(handle, CURLOPT_RANGE, fmt::format("{}-{}", request.first, request.first + request.length - 1).c_str());
  }
}

std::size_t Connection::State::header(std::string_view line) {
  last_byte = Clock::now();
  header_bytes += line.size();
  if (header_bytes > kMostHeaderBytes) {
    broken = fmt::format("its answer's head is longer than {} KiB", kMostHeaderBytes / 1024);
    return 0;
  }
  if (head_done) return line.size();  // a trailer
  const std::size_t length = line.size();
  while (line.ends_with('\n') || line.ends_with('\r')) line.remove_suffix(1);
  if (line.starts_with("HTTP/")) {
    result.answer = {};
    long status = 0;
    static_cast<void>(curl_easy_getinfo(easy.get(), CURLINFO_RESPONSE_CODE, &status));
    result.answer.status = static_cast<int>(status);
  } else if (line.empty()) {
    if (result.answer.status < 200) return length;  // "100 Continue": the answer is still to come
    head_ended();
    if (refused) return 0;
  } else if (const std::size_t colon = line.find(':'); colon != std::string_view::npos) {
    std::string name(line.substr(0, colon));
    std::transform(name.begin(), name.end(), name.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    std::string_view value = line.substr(colon + 1);
    while (!value.empty() && (value.front() == ' ' || value.front() == '\t')) value.remove_prefix(1);
    while (!value.empty() && (value.back() == ' ' || value.back() == '\t')) value.remove_suffix(1);
    result.answer.fields.emplace_back(std::move(name), std::string(value));
  }
  return length;
}

void Connection::State::head_ended() {
  head_done = true;
  measured = Clock::now();
  const int status = result.answer.status;
  result.hops.back().status = status;
  if (status >= 300) return;
  wanted = body->begin(result.answer);
  refused = !wanted;
}

std::size_t Connection::State::data(std::span<const std::byte> bytes) {
  base::note_activity();
  Hop& hop = result.hops.back();
  hop.bytes += static_cast<std::int64_t>(bytes.size());
  bool go_on = true;
  if (wanted) {
    const auto came = Clock::now();
    go_on = body->take(bytes);
    refused = !go_on;
    measured += Clock::now() - came;  // it may have kept us waiting
  } else {
    go_on = hop.bytes <= kMostErrorBytes;
  }
  last_byte = Clock::now();
  return go_on ? bytes.size() : 0;
}

// Why no more is waited for, or nothing.
std::string Connection::State::too_late() {
  const auto now = Clock::now();
  const std::chrono::duration<double> timeout(settings.timeout);
  if (now - last_byte > timeout) return fmt::format("nothing has come for {:g} s", settings.timeout);
  // A head that drips, behind a connection that took its time.
  if (!head_done && now - began > 2 * timeout) return "its answer's head does not end";
  const std::chrono::duration<double> window(std::max(kCrawlSeconds, settings.timeout));
  if (!head_done || now - measured < window) return {};
  const std::int64_t came = result.hops.back().bytes - measured_at;
  if (static_cast<double>(came) < window.count() * static_cast<double>(kLeastSpeed)) {
    return fmt::format("only {} bytes have come in {:g} s", came, window.count());
  }
  measured = now;
  measured_at += came;
  return {};
}

void Connection::State::one_hop(const Request& request, const Url& url) {
  prepare(request, url);
  next.clear();
  header_bytes = 0;
  head_done = wanted = refused = false;
  broken.clear();
  result.answer = {};
  result.hops.push_back({url.host, 0, 0});
  began = last_byte = measured = Clock::now();
  measured_at = 0;
  if (curl_multi_add_handle(multi.get(), easy.get()) != CURLM_OK) {
    throw base::Error(base::Kind::kSystem, {}, 0, "libcurl refuses a request");
  }
  std::optional<CURLcode> ended;
  std::string late;
  CURLMcode state = CURLM_OK;
  while (!ended && !cancelled && late.empty() && state == CURLM_OK) {
    int running = 0;
    state = curl_multi_perform(multi.get(), &running);
    int left = 0;
    while (const CURLMsg* message = curl_multi_info_read(multi.get(), &left)) {
      if (message->msg == CURLMSG_DONE) ended = message->data.result;
    }
    late = too_late();
    // This is bounded, and no stall: what waits for the data waits for the origin.
    base::note_activity();
    if (!ended && !cancelled && late.empty() && state == CURLM_OK) {
      state = curl_multi_poll(multi.get(), nullptr, 0, kPollMilliseconds, nullptr);
    }
  }
  if (is_redirect(result.answer.status)) {
    char* target = nullptr;  // resolved against this address by libcurl
    if (curl_easy_getinfo(easy.get(), CURLINFO_REDIRECT_URL, &target) == CURLE_OK && target != nullptr) next = target;
  }
  static_cast<void>(curl_multi_remove_handle(multi.get(), easy.get()));
  if (ended) return finish(*ended);
  if (cancelled) {
    result.end = Result::End::kStopped;
    return;
  }
  result.end = Result::End::kTransient;
  result.message = state != CURLM_OK ? std::string(curl_multi_strerror(state)) : late;
}

void Connection::State::finish(CURLcode code) {
  // Of an error's body, or a redirect's, nothing more was wanted.
  const bool dropped = code == CURLE_WRITE_ERROR && head_done && !wanted && !refused && broken.empty();
  if (code == CURLE_OK || dropped) {
    result.end = Result::End::kComplete;
  } else if (!broken.empty()) {
    result.end = Result::End::kPermanent;
    result.message = broken;
  } else if (refused) {
    result.end = Result::End::kStopped;
  } else {
    // On a connection that was used before, what is no answer may be what came behind the one before: a new one tells.
    long made = 1;
    static_cast<void>(curl_easy_getinfo(easy.get(), CURLINFO_NUM_CONNECTS, &made));
    const bool left_over = made == 0 && (code == CURLE_UNSUPPORTED_PROTOCOL || code == CURLE_WEIRD_SERVER_REPLY);
    result.end = is_permanent(code) && !left_over ? Result::End::kPermanent : Result::End::kTransient;
    result.message = curl_easy_strerror(code);
  }
}

Connection::Connection(const Settings& settings) {
  start_libcurl();
  state_ = std::make_unique<State>(settings);
  if (!state_->multi || !state_->easy) throw base::Error(base::Kind::kSystem, {}, 0, "libcurl can't start");
}

Connection::~Connection() = default;

void Connection::cancel() {
  state_->cancelled = true;
  static_cast<void>(curl_multi_wakeup(state_->multi.get()));
}

void Connection::allow() { state_->cancelled = false; }

Result Connection::perform(const Request& request, Body& body) {
  State& state = *state_;
  state.body = &body;
  state.result = {};
  Url url = request.place.value_or(request.url);
  for (int redirects = request.redirects;; ++redirects) {
    state.result.redirects = redirects;
    state.one_hop(request, url);
    if (state.result.end != Result::End::kComplete || !is_redirect(state.result.answer.status)) break;
    std::string why;
    Url target;
    if (redirects >= kMostRedirects) {
      why = fmt::format("its redirects do not end: {} were followed", kMostRedirects);
    } else {
      try {
        target = parse_url(state.next);
        if (url.secure && !target.secure) why = "it redirects from https down to http";
      } catch (const base::Error&) {
        why = "it redirects to what is no http or https address";
      }
    }
    if (!why.empty()) {
      state.result.end = Result::End::kPermanent;
      state.result.message = why;
      break;
    }
    if (target.origin != url.origin) {
      state.result.end = Result::End::kElsewhere;
      state.result.location = target.text;
      ++state.result.redirects;
      break;
    }
    // What a redirect brings along is nobody's to use.
    target.user.clear();
    target.password.clear();
    url = target;
  }
  return std::move(state.result);
}

}  // namespace argosy::http
