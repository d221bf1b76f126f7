// Rank 0's end of the channel to the supervisor (wire.h has the bytes).
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.h"
#include "cli/console.h"
#include "cli/wire.h"

namespace argosy::cli {

class ChannelClient : public Console {
 public:
  // Connects to the first address of `place` (ARGOSY_CHANNEL's value) that answers as our supervisor. Blocks for at
  // most `timeout`; throws base::Error (kSystem) where none does.
  explicit ChannelClient(std::string_view place, std::chrono::milliseconds timeout = std::chrono::seconds(5));

  void started() override;
  void output(const std::string& text) override;
  // At most five a second reach the supervisor; the others are dropped.
  void progress(const command::Progress& progress) override;
  // Also true once the supervisor is gone: nobody is left to work for. Sends what says that rank 0 lives, too.
  bool interrupted() override;
  int finish(const command::Report& report) override;
  void fatal(int exit, const std::string& line) override;
  base::Fd open_standard_input() override;
  command::StandardOutput open_standard_output() override;

  // Blocks until the supervisor says that it has the report, at most `timeout`; false when it didn't say so.
  bool send_result(const command::Report& report, std::chrono::milliseconds timeout);

 private:
  // A further connection to the supervisor, which opens with its line and `behind`.
  base::Fd connect_again(const char* purpose, const char* behind) const;
  void connect_any(const ChannelPlace& place, Clock::time_point deadline);
  void send(const nlohmann::json& frame);
  // Writes what the socket takes now.
  void flush();
  // Reads what the socket has now.
  void receive();
  void say_alive();
  void take(const std::vector<std::string>& lines);
  bool send_and_wait(const nlohmann::json& frame, Clock::time_point deadline);

  ChannelPlace place_;
  std::string address_;  // the one that answered
  base::Fd socket_;
  LineReader reader_{kLongestFrame};
  std::string unsent_;
  bool lost_ = false;
  bool interrupted_ = false;
  bool received_ = false;  // the supervisor has the result
  Clock::time_point last_sent_{};
  Clock::time_point last_progress_{};
  Clock::time_point last_look_{};
};

}  // namespace argosy::cli
