// The supervisor's end of the channel (wire.h has the bytes). Never blocks: the supervisor polls.
#pragma once

#include <poll.h>

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "base/fd.h"
#include "cli/wire.h"

namespace argosy::cli {

class ChannelServer {
 public:
  // Listens at a port of the kernel's choice: of this machine's loopback only, or of every interface. Throws
  // base::Error (kSystem).
  explicit ChannelServer(bool this_machine_only);

  // The value of ARGOSY_CHANNEL for the job.
  std::string place() const { return format_place(place_); }

  // What to wait for, appended to `fds`.
  void add_to_poll(std::vector<pollfd>& fds) const;

  // Does what can be done now, and appends the frames that rank 0 has sent to `frames`. A connection that doesn't open
  // as it must is closed; so is one with a line that is no JSON document.
  void serve(std::vector<nlohmann::json>& frames);

  // {"type":TYPE} to rank 0, where it is connected.
  void send(const char* type);

  // Rank 0 has been connected, and isn't any more.
  bool lost() const { return had_control_ && !control_.valid(); }

  // The connection on which rank 0 waits for standard input: valid once for each time it asks. One byte of it stays
  // unread on purpose (see ChannelClient::open_standard_input).
  base::Fd take_standard_input() { return std::move(standard_input_); }
  // The connection on which rank 0 sends what goes to standard output: valid once.
  base::Fd take_standard_output() { return std::move(standard_output_); }

 private:
  // A connection that hasn't said yet what it is for.
  struct Guest {
    base::Fd fd;
    Clock::time_point since;
    bool done = false;
  };
  void accept_all();
  void greet(Guest& guest);

  ChannelPlace place_;
  base::Fd listener_;
  std::vector<Guest> guests_;
  base::Fd control_;
  LineReader reader_{kLongestFrame};
  bool had_control_ = false;
  base::Fd standard_input_;
  base::Fd standard_output_;
};

}  // namespace argosy::cli
