// The pulse: a few times a second each rank tells rank 0 what it has done, whether it has been asked to stop, and for
// whom it waits; rank 0 replies. So rank 0 knows the progress of all, an interrupt or a fatal failure anywhere reaches
// everybody, and a stall is noticed: by rank 0 when nothing has moved on any rank, by the others when rank 0 gives no
// reply.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "core/route.h"
#include "core/transport.h"

namespace argosy::engine {

class Pulse {
 public:
  // What a rank tells of itself.
  struct Status {
    std::uint64_t activity = 0;
    std::int64_t bytes = 0;  // delivered here, verified
    std::uint64_t files = 0;
    int interrupted = 0;  // a signal's number
    int waits_for = core::kNobody;
    std::string what;                    // is waited for
    std::optional<base::Failure> fatal;  // this rank can't go on
  };
  // `hosts` has a name a rank. `stall_timeout` in seconds, 0: none. `transport` outlives the pulse.
  Pulse(core::Transport& transport, std::vector<std::string> hosts, double stall_timeout);
  ~Pulse();
  Pulse(const Pulse&) = delete;
  Pulse& operator=(const Pulse&) = delete;

  // Tells and listens when it is time to; `status` is asked only then. Call it in every turn of every loop.
  void step(const std::function<Status()>& status);
  // Rank 0: the failure of a rank that can't go on, its own included; elsewhere: that there is one, without what it is.
  const std::optional<base::Failure>& fatal() const { return fatal_; }
  void set_fatal(const base::Failure& failure) {
    if (!fatal_) fatal_ = failure;
  }
  // One line that says who waits for whom, once nothing has moved for the stall timeout.
  std::optional<std::string> stalled() const;
  // The sum of what all ranks have told (rank 0).
  std::int64_t bytes() const;
  std::uint64_t files() const;
  // No more is told from now on; quiet() once every reply is in. Rank 0 goes on replying as long as it steps.
  void close() { closed_ = true; }
  bool quiet() const { return !awaiting_reply_ && replies_under_way_ == 0; }

 private:
  using Clock = std::chrono::steady_clock;
  struct Known {
    Status status;
    Clock::time_point heard;
  };
  void receive();
  void tell(const Status& status);
  std::string name(int rank) const;

  core::Transport& transport_;
  std::vector<std::string> hosts_;
  std::chrono::duration<double> stall_timeout_;
  std::chrono::duration<double> interval_;
  bool closed_ = false;
  bool awaiting_reply_ = false;
  int replies_under_way_ = 0;
  Clock::time_point told_;
  Clock::time_point moved_;
  Clock::time_point answered_;
  std::optional<base::Failure> fatal_;
  std::vector<Known> known_;  // rank 0: of every rank
  std::vector<std::byte> in_;
  std::vector<std::byte> out_;
  std::optional<core::Transport::Ticket> posted_;
};

}  // namespace argosy::engine
