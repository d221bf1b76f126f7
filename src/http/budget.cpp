#include "http/budget.h"

#include <algorithm>
#include <cmath>

namespace argosy::http {

namespace {

constexpr double kFirstPause = 0.2;
constexpr double kLongestPause = 30;

}  // namespace

Budget::Budget(int connections, std::uint64_t seed) : connections_(connections), random_(seed) {}

Budget::Host& Budget::find(const std::string& name) {
  Host& host = hosts_[name];
  if (host.allowed == 0) host.allowed = connections_;
  return host;
}

int Budget::allowed(const std::string& host) const {
  const auto found = hosts_.find(host);
  return found == hosts_.end() ? connections_ : found->second.allowed;
}

bool Budget::host_is_free(const std::string& host, double now) {
  const Host& one = find(host);
  return one.active < one.allowed && now >= one.paused_until;
}

void Budget::answered_well(const std::string& host) {
  Host& one = find(host);
  one.refusals = 0;
  if (one.allowed >= connections_ || ++one.well < one.allowed) return;
  one.well = 0;
  ++one.allowed;
}

double Budget::refused(const std::string& host, std::optional<double> wait, double now) {
  Host& one = find(host);
  // What was under way when the first of them came says the same once more.
  const bool first = now >= one.paused_until;
  if (first) {
    one.allowed = std::max(1, one.allowed / 2);
    one.well = 0;
    ++one.refusals;
  }
  const double pause = wait ? std::max(*wait, 0.0) : first ? backoff(one.refusals) : 0;
  one.paused_until = std::max(one.paused_until, now + pause);
  return one.paused_until - now;
}

void Budget::pause(const std::string& host, double seconds, double now) {
  Host& one = find(host);
  one.paused_until = std::max(one.paused_until, now + seconds);
}

double Budget::backoff(int tries) {
  const double whole = std::min(kLongestPause, kFirstPause * std::pow(2.0, std::min(tries, 20) - 1));
  return whole * std::uniform_real_distribution<double>(0.5, 1.0)(random_);
}

double Budget::paused_until(const std::string& host) const {
  const auto found = hosts_.find(host);
  return found == hosts_.end() ? 0 : found->second.paused_until;
}

bool Budget::pauses(double now) const {
  return std::any_of(hosts_.begin(), hosts_.end(), [now](const auto& one) { return now < one.second.paused_until; });
}

}  // namespace argosy::http
