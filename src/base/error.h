// What can go wrong, said once: kinds, the failure record that travels between ranks and into the report, and the
// exit codes. Every other room uses these; nothing here does I/O.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace argosy::base {

// The kinds of failure. The value is the exit code of a job in which nothing succeeded and this was the most telling.
enum class Kind : std::int32_t {
  kNone = 0,
  kUsage = 2,
  kSource = 3,       // missing, unreadable, or changed while it was read
  kDestination = 4,  // permission, space, in use by another run
  kIntegrity = 5,    // bytes differ from what they should be
  kSystem = 6,       // MPI, the launcher or a host
  kOrigin = 7,       // an HTTP origin refused, changed or failed
};

// The exit code of a job that finished although some files or some nodes failed.
inline constexpr int kExitPartial = 1;
inline constexpr int kExitInterrupted = 130;
inline constexpr int kExitTerminated = 143;

// One failure, as the user is told of it. `path` holds the raw bytes of a name (empty where no file is concerned);
// `rank` is -1 and `host` empty where the failure happened before there were ranks. `error_number` is an errno or 0.
struct Failure {
  Kind kind = Kind::kNone;
  std::string path;
  int rank = -1;
  std::string host;
  int error_number = 0;
  std::string message;
};

// Thrown by code that may throw (never through a communication loop: tasks catch it at their edge).
class Error : public std::runtime_error {
 public:
  explicit Error(Failure failure);
  Error(Kind kind, std::string path, int error_number, std::string message);
  const Failure& failure() const { return failure_; }

 private:
  Failure failure_;
};

// "xyz: No space left on device": an Error about `path` from errno-style `error_number`, with `what` failing.
Error system_error(Kind kind, std::string_view path, int error_number, std::string_view what);

// True when `a` explains a job's end better than `b`: 6, 5, 7, 4, 3, 2, none, in this order (wdt's rule: a cause
// outranks what it causes).
bool more_telling(Kind a, Kind b);

// The exit code of a finished job: 0, the most telling kind where nothing succeeded, 1 where something did.
int exit_code(bool anything_succeeded, const std::vector<Failure>& failures);

// "source", "destination", ... as the report's `kind`.
std::string_view kind_name(Kind kind);

// The name as messages show it: control characters and bytes that are not UTF-8 escaped (\n, \x1b).
std::string printable(std::string_view bytes);
// The same with a backslash doubled, so that no two names look the same. For what is not made printable once more.
std::string printable_name(std::string_view bytes);

// True when `bytes` is well-formed UTF-8 (RFC 3629).
bool is_utf8(std::string_view bytes);

// `bytes` with U+FFFD in place of every byte that is not UTF-8.
std::string utf8_or_replacement(std::string_view bytes);

// One line without newline: "PATH: MESSAGE (rank R on HOST)", printable, parts left out where unknown.
std::string describe(const Failure& failure);

}  // namespace argosy::base
