// The supervisor's signals as something to poll for: no handler runs, so nothing can be in a handler's way.
#pragma once

#include <csignal>
#include <vector>

#include "base/fd.h"

namespace argosy::cli {

// From construction to destruction SIGINT, SIGTERM, SIGHUP (unless it is ignored, as under nohup), SIGCHLD and SIGTSTP
// wait at fd() instead of acting. One at a time, before any thread is started.
class SignalSource {
 public:
  SignalSource();  // throws base::Error (kSystem)
  ~SignalSource();
  SignalSource(const SignalSource&) = delete;
  SignalSource& operator=(const SignalSource&) = delete;

  int fd() const { return fd_.get(); }
  // The signals that have come, in the kernel's order. Does not block.
  std::vector<int> take();

 private:
  base::Fd fd_;
  sigset_t before_{};
};

// Stops this process as Ctrl-Z would have, and returns when it goes on.
void stop_here();

}  // namespace argosy::cli
