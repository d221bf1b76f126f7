// What goes wrong, when: the rules of the environment variable ARGOSY_FAULT (test/fault/README.md). The interposed
// functions ask consult() before they do their work and do as it says.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

namespace fault {

enum class Op : unsigned {
  kOpen,
  kRead,
  kWrite,
  kSync,
  kClose,
  kRename,
  kChmod,
  kUtime,
  kAlloc,
  kSpace,
  kUnlink,
  kSend,
};

// What the interposed function does instead of, or in, its own work.
struct Verdict {
  int error = 0;                       // fail with this errno, doing nothing
  std::size_t limit = SIZE_MAX;        // transfer at most so many bytes
  std::optional<std::int64_t> flip;    // turn this byte over (negative: from the end)
  std::string was, becomes;            // kSend: bytes to put in place of others, as many
  std::optional<std::uint64_t> space;  // kSpace: the bytes that are free
  bool untouched() const { return error == 0 && limit == SIZE_MAX && !flip && was.empty() && !space; }
};

// True when some rule on this rank is about `op`; otherwise nothing else need be done.
bool concerned(Op op);

// The path of an open descriptor, and of a name below one (AT_FDCWD included).
std::string path_of(int fd);
std::string path_at(int folder, const char* name);

// Counts the call for every rule that it meets, carries out their effects (log, mark, wait, change the file, signal)
// and says what is left to the caller. `data` are the bytes to be sent or written, for the log.
Verdict consult(Op op, const std::string& path, std::size_t size, int tag = -1, int peer = -1,
                const void* data = nullptr);

}  // namespace fault
