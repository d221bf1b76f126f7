// The budget of a whole job, kept in one place, on rank 0: how many connections an origin host is given, and when a
// host that asked for time may be asked again. Pure: time comes from the caller, in seconds.
//
// A host that refuses (429, 503) is left alone by all ranks until the time that it named is over, or a growing and
// jittered one of ours; after that it gets half as many connections as before, and one more for each round of answers
// that go well (additive increase, multiplicative decrease, as TCP does it: D. Chiu, R. Jain, Computer Networks 17
// (1989)).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <random>
#include <string>

namespace argosy::http {

class Budget {
 public:
  Budget(int connections, std::uint64_t seed);

  // One more request may go to `host` now, as far as its connections in use and its pause go.
  bool host_is_free(const std::string& host, double now);
  // A task of requests goes to `host`, and takes a connection until ended().
  void began(const std::string& host) { ++find(host).active; }
  void ended(const std::string& host) { --find(host).active; }
  // An answer was a good one.
  void answered_well(const std::string& host);
  // `host` has refused, and asked for `wait` seconds where it said so: how long it is left alone, from now.
  double refused(const std::string& host, std::optional<double> wait, double now);
  // `host` is left alone for so long, without having refused.
  void pause(const std::string& host, double seconds, double now);
  // Seconds until the try after `tries` tries that failed: 0.2 s, doubled each time, of which half is chance.
  double backoff(int tries);
  // When the host may be asked again; in the past where it is not paused.
  double paused_until(const std::string& host) const;
  // Some host is left alone now.
  bool pauses(double now) const;
  int connections() const { return connections_; }
  int allowed(const std::string& host) const;

 private:
  struct Host {
    int active = 0;
    int allowed = 0;
    int well = 0;      // answers since `allowed` last grew
    int refusals = 0;  // without a good answer between
    double paused_until = 0;
  };
  Host& find(const std::string& name);

  int connections_;
  std::mt19937_64 random_;
  std::map<std::string, Host> hosts_;
};

}  // namespace argosy::http
