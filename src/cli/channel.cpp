#include "cli/channel.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>

#include "base/error.h"

namespace argosy::cli {

namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr milliseconds kProgressPause(200);
constexpr milliseconds kAlivePause(1000);
constexpr milliseconds kLookPause(10);
constexpr seconds kResultTimeout(30);
constexpr seconds kFatalTimeout(2);
constexpr seconds kStandardInputTimeout(2);

base::Error system(std::string message) { return {base::Kind::kSystem, "", 0, std::move(message)}; }

// The frame's "type", or nothing for a line that is no frame.
std::string frame_type(const std::string& line) {
  const auto frame = nlohmann::json::parse(line, nullptr, false);
  if (!frame.is_object()) return {};
  const auto type = frame.find("type");
  return type != frame.end() && type->is_string() ? type->get<std::string>() : std::string();
}

int socket_error(int fd) {
  int error = 0;
  socklen_t length = sizeof error;
  return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) == 0 ? error : errno;
}

// Sends all of a short text through a socket that has just connected: its buffer is empty, so nothing is left over.
bool send_short(int fd, std::string_view text) {
  return ::send(fd, text.data(), text.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(text.size());
}

// One address being tried.
struct Attempt {
  std::string address;
  base::Fd fd;
  bool connected = false;
  LineReader reader{kLongestFrame};
  std::vector<std::string> lines;
  std::string error;
};

// Moves `attempt` on as far as it goes without blocking; true once the supervisor has answered.
bool advance(Attempt& attempt, short ready, const std::string& token) {
  const auto fail = [&](std::string why) {
    attempt.error = std::move(why);
    attempt.fd = base::Fd();
    return false;
  };
  if (!attempt.connected && ready != 0) {
    if (const int error = socket_error(attempt.fd.get()); error != 0) return fail(std::strerror(error));
    if (!send_short(attempt.fd.get(), hello_line(token, "control"))) return fail(std::strerror(errno));
    attempt.connected = true;
    return false;
  }
  if (ready == 0) return false;
  const auto state = attempt.reader.read(attempt.fd.get(), attempt.lines);
  if (!attempt.lines.empty()) return frame_type(attempt.lines[0]) == "hello" || fail("not argosy that answers there");
  if (state != LineReader::State::kOpen) return fail("the connection was closed");
  return false;
}

}  // namespace

ChannelClient::ChannelClient(std::string_view place, milliseconds timeout) {
  auto parsed = parse_place(place);
  if (!parsed) throw system(fmt::format("{} has no meaning here", kChannelVariable));
  place_ = *std::move(parsed);
  connect_any(place_, Clock::now() + timeout);
  last_sent_ = Clock::now();
}

// All addresses at once: one that drops packets must not keep the others waiting, and of an address that several hosts
// have, such as a virtual bridge's, only ours knows the answer.
void ChannelClient::connect_any(const ChannelPlace& place, Clock::time_point deadline) {
  std::vector<Attempt> attempts(place.addresses.size());
  for (std::size_t i = 0; i < attempts.size(); ++i) {
    attempts[i].address = place.addresses[i];
    attempts[i].fd = start_connect(place.addresses[i], place.port, attempts[i].error);
  }
  while (Clock::now() < deadline) {
    std::vector<pollfd> waiting;
    for (const Attempt& one : attempts) {
      const short events = one.connected ? POLLIN : POLLOUT;
      waiting.push_back({one.fd.get(), events, 0});  // poll(2) passes over a descriptor of -1
    }
    if (std::none_of(waiting.begin(), waiting.end(), [](const pollfd& one) { return one.fd >= 0; })) break;
    if (poll(waiting.data(), waiting.size(), poll_timeout(deadline)) < 0 && errno != EINTR) break;
    for (std::size_t i = 0; i < attempts.size(); ++i) {
      if (!attempts[i].fd.valid() || !advance(attempts[i], waiting[i].revents, place.token)) continue;
      socket_ = std::move(attempts[i].fd);
      reader_ = std::move(attempts[i].reader);
      take(attempts[i].lines);
      address_ = attempts[i].address;
      return;
    }
  }
  std::string tried;
  for (const Attempt& one : attempts) {
    tried +=
        fmt::format("{}{} ({})", tried.empty() ? "" : ", ", one.address, one.error.empty() ? "no answer" : one.error);
  }
  throw system(fmt::format("rank 0 can't reach the argosy that started it, at port {} of {}", place.port, tried));
}

void ChannelClient::send(const nlohmann::json& frame) {
  unsent_ += frame.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  unsent_ += '\n';
  last_sent_ = Clock::now();
  flush();
}

void ChannelClient::flush() {
  while (!lost_ && !unsent_.empty()) {
    const ssize_t count = ::send(socket_.get(), unsent_.data(), unsent_.size(), MSG_NOSIGNAL);
    if (count >= 0) {
      unsent_.erase(0, static_cast<std::size_t>(count));
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      return;
    } else if (errno != EINTR) {
      lost_ = true;
    }
  }
}

void ChannelClient::receive() {
  if (lost_) return;
  std::vector<std::string> lines;
  const auto state = reader_.read(socket_.get(), lines);
  take(lines);
  lost_ = state != LineReader::State::kOpen;
}

void ChannelClient::take(const std::vector<std::string>& lines) {
  for (const std::string& line : lines) {
    const std::string type = frame_type(line);
    interrupted_ = interrupted_ || type == "interrupt";
    received_ = received_ || type == "received";
  }
}

void ChannelClient::started() { send({{"type", "started"}}); }

void ChannelClient::progress(const command::Progress& progress) {
  // Dropped while an earlier frame is stuck: a supervisor that is stopped must not make our memory grow.
  if (lost_ || !unsent_.empty() || Clock::now() - last_progress_ < kProgressPause) return;
  last_progress_ = Clock::now();
  send({{"type", "progress"},
        {"phase", progress.phase},
        {"bytes", progress.bytes},
        {"bytes_total", progress.bytes_total},
        {"files", progress.files},
        {"files_total", progress.files_total}});
}

void ChannelClient::output(const std::string& text) { send({{"type", "output"}, {"text", bytes_as_text(text)}}); }

void ChannelClient::say_alive() {
  flush();
  if (lost_ || !unsent_.empty() || Clock::now() - last_sent_ < kAlivePause) return;
  send({{"type", "alive"}});
}

bool ChannelClient::interrupted() {
  // Loops ask thousands of times a second; a system call each time would cost more than the answer is worth.
  if (!lost_ && Clock::now() - last_look_ >= kLookPause) {
    last_look_ = Clock::now();
    receive();
    say_alive();
  }
  return interrupted_ || lost_;
}

bool ChannelClient::send_and_wait(const nlohmann::json& frame, Clock::time_point deadline) {
  // Waiting for the answer also empties our receive queue: TCP throws away what is still to be sent when a socket with
  // unread data is closed.
  send(frame);
  while (!received_ && !lost_ && Clock::now() < deadline) {
    const short events = static_cast<short>(unsent_.empty() ? POLLIN : POLLIN | POLLOUT);
    pollfd waiting = {socket_.get(), events, 0};
    if (poll(&waiting, 1, poll_timeout(deadline)) < 0 && errno != EINTR) break;
    flush();
    receive();
  }
  return received_;
}

bool ChannelClient::send_result(const command::Report& report, milliseconds timeout) {
  return send_and_wait({{"type", "result"}, {"report", command::to_json(report)}}, Clock::now() + timeout);
}

int ChannelClient::finish(const command::Report& report) {
  // Nobody to tell: the launcher's exit code is all that is left.
  return send_result(report, kResultTimeout) ? 0 : report.exit;
}

void ChannelClient::fatal(int exit, const std::string& line) {
  static_cast<void>(
      send_and_wait({{"type", "fatal"}, {"exit", exit}, {"message", line}}, Clock::now() + kFatalTimeout));
}

base::Fd ChannelClient::connect_again(const char* purpose, const char* behind) const {
  const auto deadline = Clock::now() + kStandardInputTimeout;
  const auto fail = [purpose](int why) {
    return base::system_error(base::Kind::kSystem, "", why, fmt::format("{} can't be reached", purpose));
  };
  std::string error;
  base::Fd fd = start_connect(address_, place_.port, error);
  if (!fd.valid()) throw system(fmt::format("{} can't be reached: {}", purpose, error));
  pollfd waiting = {fd.get(), POLLOUT, 0};
  while (Clock::now() < deadline && waiting.revents == 0) {
    if (poll(&waiting, 1, poll_timeout(deadline)) < 0 && errno != EINTR) break;
  }
  if (const int failed = waiting.revents == 0 ? ETIMEDOUT : socket_error(fd.get()); failed != 0) throw fail(failed);
  if (!send_short(fd.get(), hello_line(place_.token, purpose) + behind)) throw fail(errno);
  const int flags = fcntl(fd.get(), F_GETFL);
  if (flags < 0 || fcntl(fd.get(), F_SETFL, flags & ~O_NONBLOCK) != 0) throw fail(errno);
  return fd;
}

base::Fd ChannelClient::open_standard_input() {
  // One byte more than the line. The supervisor reads it only when standard input has ended well; a socket closed with
  // unread data resets its connection, so that a supervisor that dies is an error to our reader and never an end.
  return connect_again("stdin", "!");
}

command::StandardOutput ChannelClient::open_standard_output() { return {connect_again("stdout", ""), true}; }

}  // namespace argosy::cli
