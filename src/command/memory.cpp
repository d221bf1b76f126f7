#include "command/memory.h"

#include <fstream>
#include <string>

namespace argosy::command {

// VmHWM: unlike getrusage's, not inherited over exec.
std::int64_t peak_rss() {
  std::ifstream status("/proc/self/status");
  std::string key;
  while (status >> key) {
    std::int64_t kibibytes = 0;
    if (key == "VmHWM:" && status >> kibibytes) return kibibytes * 1024;
    status.ignore(1 << 12, '\n');
  }
  return 0;
}

}  // namespace argosy::command
