// One connection to an origin: libcurl's multi interface, driven by the thread that asks. One request at a time, the
// connection kept for the next. Redirects are followed here and not by libcurl, so that what goes to which host is
// decided in one place: credentials go only to the origin that they were given for, and no redirect leads from https to
// http. One that leads to another host is not followed but handed back: that host may be asked only within its own
// budget.
//
// The receiver of a body may block (its buffers are full, its turn has not come): the thread is there for that, and TCP
// holds the origin back. A transfer is never paused: libcurl 7.88 leaks there (curl issue 10971).
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "http/answer.h"
#include "http/url.h"

namespace argosy::http {

// The same for all requests of a job. The header lines and the certificates were read on rank 0.
struct Settings {
  std::vector<std::string> headers;  // "Name: value", secrets among them
  std::string certificates;          // --cacert: PEM; empty: the system's
  bool insecure = false;             // --insecure: certificates are not checked
  double timeout = 30;               // seconds without a byte
};

struct Request {
  Url url;                    // as the user has it: its origin gets the credentials
  std::optional<Url> place;   // where to ask instead: where a redirect has led
  int redirects = 0;          // that were followed to get there
  std::int64_t first = 0;     // of the bytes asked for
  std::int64_t length = 0;    // 0: all, without Range
  std::string if_none_match;  // an ETag: where it still holds, a 304 and no body is wanted
  std::string if_match;       // an ETag: where it holds no longer, a 412 is wanted
  std::string if_range;       // an ETag or a time: where it holds no longer, the whole is wanted and not the range
};

// Takes the body of an answer with a status of 2xx. Called on the connection's thread; may block.
class Body {
 public:
  virtual ~Body() = default;
  // The answer's head has come. False: this answer is not wanted.
  virtual bool begin(const Answer& answer) = 0;
  // The next bytes. False: no more are wanted.
  virtual bool take(std::span<const std::byte> bytes) = 0;
};

// One request as an origin saw it; a redirect makes several.
struct Hop {
  std::string host;
  int status = 0;  // 0: no answer came
  std::int64_t bytes = 0;
};

struct Result {
  enum class End {
    kComplete,   // with an answer and all of its body; its status may be an error's
    kElsewhere,  // with a redirect to another host
    kStopped,    // the body was not wanted any more, or cancel() was called
    kTransient,  // the network, or an origin that broke off: another try may do better
    kPermanent,  // another try would end the same
  };
  End end = End::kComplete;
  std::string message;   // kTransient, kPermanent: what happened, without an address
  Answer answer;         // the last one
  std::string location;  // kElsewhere: an absolute address
  int redirects = 0;     // that were followed, with those before the request
  std::vector<Hop> hops;
};

class Connection {
 public:
  // `settings` outlives it. Throws base::Error (kSystem) where libcurl can't start.
  explicit Connection(const Settings& settings);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // Blocks until the answer's end. One thread.
  Result perform(const Request& request, Body& body);
  // Any thread: a request under way ends soon, and so does every later one until allow().
  void cancel();
  void allow();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace argosy::http
