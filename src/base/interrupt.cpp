#include "base/interrupt.h"

#include <atomic>
#include <csignal>

namespace argosy::base {

namespace {

std::atomic<int> caught{0};
static_assert(std::atomic<int>::is_always_lock_free, "a signal handler may only touch lock-free atomics");

extern "C" void on_signal(int signal_number) { interrupt(signal_number); }

}  // namespace

void catch_interrupts() {
  struct sigaction action = {};
  action.sa_handler = on_signal;
  sigemptyset(&action.sa_mask);
  action.sa_flags = SA_RESTART;
  // sigaction(2) fails only for a bad signal number or address.
  for (const int signal_number : {SIGINT, SIGTERM, SIGHUP})
    static_cast<void>(sigaction(signal_number, &action, nullptr));
}

int interrupted() { return caught.load(std::memory_order_relaxed); }

void interrupt(int signal_number) {
  int none = 0;
  caught.compare_exchange_strong(none, signal_number, std::memory_order_relaxed);
}

}  // namespace argosy::base
