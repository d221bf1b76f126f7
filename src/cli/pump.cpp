#include "cli/pump.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <memory>
#include <string_view>

#include "cli/render.h"

namespace argosy::cli {

namespace {

bool send_all(int to, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t count = send(to, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(count));
  }
  return true;
}

}  // namespace

int pump_standard_input(int from, int to) {
  constexpr std::size_t kPartBytes = 256 << 10;
  const auto part = std::make_unique<char[]>(kPartBytes);
  const int flags = fcntl(to, F_GETFL);
  if (flags < 0 || fcntl(to, F_SETFL, flags & ~O_NONBLOCK) != 0) return EXIT_FAILURE;
  while (true) {
    const ssize_t count = read(from, part.get(), kPartBytes);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return EXIT_FAILURE;
    if (count == 0) break;
    if (!send_all(to, {part.get(), static_cast<std::size_t>(count)})) return EXIT_FAILURE;
  }
  // The byte behind the opening line has been waiting here: unread, it would turn our end into a reset, which is what
  // every way out above is meant to be.
  char guard = 0;
  if (recv(to, &guard, 1, 0) != 1 || shutdown(to, SHUT_WR) != 0) return EXIT_FAILURE;
  return EXIT_SUCCESS;
}

int pump_standard_output(int from, int to) {
  constexpr std::size_t kPartBytes = 256 << 10;
  const auto part = std::make_unique<char[]>(kPartBytes);
  const int flags = fcntl(from, F_GETFL);
  if (flags < 0 || fcntl(from, F_SETFL, flags & ~O_NONBLOCK) != 0) return EXIT_FAILURE;
  while (true) {
    const ssize_t count = read(from, part.get(), kPartBytes);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return EXIT_FAILURE;
    if (count == 0) break;
    if (write_all(to, {part.get(), static_cast<std::size_t>(count)})) continue;
    // Rank 0 is told why, and closes its end; until then what it still sends is taken, or the reset would be faster.
    const char why = static_cast<char>(errno);
    if (send(from, &why, 1, MSG_NOSIGNAL) != 1) return EXIT_FAILURE;
    while (read(from, part.get(), kPartBytes) > 0) continue;
    return EXIT_FAILURE;
  }
  return send(from, "!", 1, MSG_NOSIGNAL) == 1 ? EXIT_SUCCESS : EXIT_FAILURE;
}

}  // namespace argosy::cli
