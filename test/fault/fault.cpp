// libfault.so: preloaded into the ranks of a test, it makes the calls go wrong that ARGOSY_FAULT names (README.md).
// Each function here takes the place of one of the C library's: it asks consult(), then calls the real one or does not.
// The names with 64 behind them are the same functions on every platform this runs on.
//
// The functions carry names of their own and get the C library's by asm labels, so that no declaration of a system
// header, with its exception specification or its inline variant, is in the way.

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdarg>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "rules.h"

static_assert(sizeof(off_t) == 8 && sizeof(long) == 8, "the 64-bit variants are taken for the same functions");

using fault::concerned;
using fault::consult;
using fault::Op;
using fault::path_at;
using fault::path_of;
using fault::Verdict;

namespace {

// The C library's own function of that name and of the caller's type.
template <typename Function>
Function real(Function /*same type*/, const char* name) {
  void* found = dlsym(RTLD_NEXT, name);
  if (found == nullptr) abort();
  Function function = nullptr;
  static_assert(sizeof function == sizeof found);
  std::memcpy(&function, &found, sizeof function);
  return function;
}

int failed(int error) {
  errno = error;
  return -1;
}

std::vector<char> flipped(const void* data, std::size_t size, std::int64_t at) {
  std::vector<char> copy(static_cast<const char*>(data), static_cast<const char*>(data) + size);
  if (!copy.empty()) {
    const auto length = static_cast<std::int64_t>(size);
    const auto index = static_cast<std::size_t>(((at % length) + length) % length);
    copy[index] = static_cast<char>(copy[index] ^ 0x01);
  }
  return copy;
}

// The one shape of every function that only succeeds or fails.
template <typename Path, typename Call>
auto guarded(Op op, Path path, Call call) -> decltype(call()) {
  if (concerned(op)) {
    const Verdict verdict = consult(op, path(), 0);
    if (verdict.error != 0) return failed(verdict.error);
  }
  return call();
}

template <typename Call>
ssize_t reading(int fd, std::size_t size, Call call) {
  if (!concerned(Op::kRead)) return call(size);
  const Verdict verdict = consult(Op::kRead, path_of(fd), size);
  if (verdict.error != 0) return failed(verdict.error);
  return call(std::min(size, verdict.limit));
}

template <typename Call>
ssize_t writing(int fd, const void* data, std::size_t size, Call call) {
  if (!concerned(Op::kWrite)) return call(data, size);
  const Verdict verdict = consult(Op::kWrite, path_of(fd), size, -1, -1, data);
  if (verdict.error != 0) return failed(verdict.error);
  const std::size_t length = std::min(size, verdict.limit);
  if (!verdict.flip) return call(data, length);
  const std::vector<char> wrong = flipped(data, length, *verdict.flip);
  return call(wrong.data(), length);
}

std::size_t length_of(const iovec* parts, int count) {
  std::size_t length = 0;
  for (int i = 0; i < count; ++i) length += parts[i].iov_len;
  return length;
}

}  // namespace

#define FAULT_EXPORT extern "C" __attribute__((visibility("default")))
// Declares fault_ID as the C library's NAME.
#define FAULT_DECLARE(result, id, name, ...) FAULT_EXPORT result fault_##id(__VA_ARGS__) asm(#name)

// --- open ------------------------------------------------------------------------------------------------------------
#define FAULT_OPEN(name)                                                                              \
  FAULT_DECLARE(int, name, name, const char* path, int flags, ...);                                   \
  int fault_##name(const char* path, int flags, ...) {                                                \
    va_list rest;                                                                                     \
    va_start(rest, flags);                                                                            \
    const mode_t mode = va_arg(rest, mode_t);                                                         \
    va_end(rest);                                                                                     \
    static const auto next = real(fault_##name, #name);                                               \
    return guarded(                                                                                   \
        Op::kOpen, [&] { return path_at(AT_FDCWD, path); }, [&] { return next(path, flags, mode); }); \
  }
#define FAULT_OPENAT(name)                                                                                  \
  FAULT_DECLARE(int, name, name, int folder, const char* path, int flags, ...);                             \
  int fault_##name(int folder, const char* path, int flags, ...) {                                          \
    va_list rest;                                                                                           \
    va_start(rest, flags);                                                                                  \
    const mode_t mode = va_arg(rest, mode_t);                                                               \
    va_end(rest);                                                                                           \
    static const auto next = real(fault_##name, #name);                                                     \
    return guarded(                                                                                         \
        Op::kOpen, [&] { return path_at(folder, path); }, [&] { return next(folder, path, flags, mode); }); \
  }
FAULT_OPEN(open)
FAULT_OPEN(open64)
FAULT_OPENAT(openat)
FAULT_OPENAT(openat64)

#define FAULT_OPEN_2(name)                                                                      \
  FAULT_DECLARE(int, name, name, const char* path, int flags);                                  \
  int fault_##name(const char* path, int flags) {                                               \
    static const auto next = real(fault_##name, #name);                                         \
    return guarded(                                                                             \
        Op::kOpen, [&] { return path_at(AT_FDCWD, path); }, [&] { return next(path, flags); }); \
  }
#define FAULT_OPENAT_2(name)                                                                          \
  FAULT_DECLARE(int, name, name, int folder, const char* path, int flags);                            \
  int fault_##name(int folder, const char* path, int flags) {                                         \
    static const auto next = real(fault_##name, #name);                                               \
    return guarded(                                                                                   \
        Op::kOpen, [&] { return path_at(folder, path); }, [&] { return next(folder, path, flags); }); \
  }
FAULT_OPEN_2(__open_2)
FAULT_OPEN_2(__open64_2)
FAULT_OPENAT_2(__openat_2)
FAULT_OPENAT_2(__openat64_2)

// --- read, write -----------------------------------------------------------------------------------------------------
FAULT_DECLARE(ssize_t, read, read, int fd, void* into, std::size_t size);
ssize_t fault_read(int fd, void* into, std::size_t size) {
  static const auto next = real(fault_read, "read");
  return reading(fd, size, [&](std::size_t length) { return next(fd, into, length); });
}
FAULT_DECLARE(ssize_t, read_chk, __read_chk, int fd, void* into, std::size_t size, std::size_t room);
ssize_t fault_read_chk(int fd, void* into, std::size_t size, std::size_t room) {
  static const auto next = real(fault_read_chk, "__read_chk");
  return reading(fd, size, [&](std::size_t length) { return next(fd, into, length, room); });
}

#define FAULT_PREAD(name)                                                                         \
  FAULT_DECLARE(ssize_t, name, name, int fd, void* into, std::size_t size, off_t offset);         \
  ssize_t fault_##name(int fd, void* into, std::size_t size, off_t offset) {                      \
    static const auto next = real(fault_##name, #name);                                           \
    return reading(fd, size, [&](std::size_t length) { return next(fd, into, length, offset); }); \
  }
FAULT_PREAD(pread)
FAULT_PREAD(pread64)

#define FAULT_PREAD_CHK(name)                                                                               \
  FAULT_DECLARE(ssize_t, name, name, int fd, void* into, std::size_t size, off_t offset, std::size_t room); \
  ssize_t fault_##name(int fd, void* into, std::size_t size, off_t offset, std::size_t room) {              \
    static const auto next = real(fault_##name, #name);                                                     \
    return reading(fd, size, [&](std::size_t length) { return next(fd, into, length, offset, room); });     \
  }
FAULT_PREAD_CHK(__pread_chk)
FAULT_PREAD_CHK(__pread64_chk)

FAULT_DECLARE(ssize_t, write, write, int fd, const void* from, std::size_t size);
ssize_t fault_write(int fd, const void* from, std::size_t size) {
  static const auto next = real(fault_write, "write");
  return writing(fd, from, size, [&](const void* data, std::size_t length) { return next(fd, data, length); });
}

#define FAULT_PWRITE(name)                                                                                \
  FAULT_DECLARE(ssize_t, name, name, int fd, const void* from, std::size_t size, off_t offset);           \
  ssize_t fault_##name(int fd, const void* from, std::size_t size, off_t offset) {                        \
    static const auto next = real(fault_##name, #name);                                                   \
    return writing(fd, from, size,                                                                        \
                   [&](const void* data, std::size_t length) { return next(fd, data, length, offset); }); \
  }
FAULT_PWRITE(pwrite)
FAULT_PWRITE(pwrite64)

// Vectors can fail, but are neither cut short nor flipped.
#define FAULT_VECTOR(name, op)                                                   \
  FAULT_DECLARE(ssize_t, name, name, int fd, const iovec* parts, int count);     \
  ssize_t fault_##name(int fd, const iovec* parts, int count) {                  \
    static const auto next = real(fault_##name, #name);                          \
    if (concerned(op)) {                                                         \
      const Verdict verdict = consult(op, path_of(fd), length_of(parts, count)); \
      if (verdict.error != 0) return failed(verdict.error);                      \
    }                                                                            \
    return next(fd, parts, count);                                               \
  }
FAULT_VECTOR(readv, Op::kRead)
FAULT_VECTOR(writev, Op::kWrite)
#define FAULT_VECTOR_AT(name, op)                                                          \
  FAULT_DECLARE(ssize_t, name, name, int fd, const iovec* parts, int count, off_t offset); \
  ssize_t fault_##name(int fd, const iovec* parts, int count, off_t offset) {              \
    static const auto next = real(fault_##name, #name);                                    \
    if (concerned(op)) {                                                                   \
      const Verdict verdict = consult(op, path_of(fd), length_of(parts, count));           \
      if (verdict.error != 0) return failed(verdict.error);                                \
    }                                                                                      \
    return next(fd, parts, count, offset);                                                 \
  }
FAULT_VECTOR_AT(preadv, Op::kRead)
FAULT_VECTOR_AT(preadv64, Op::kRead)
FAULT_VECTOR_AT(pwritev, Op::kWrite)
FAULT_VECTOR_AT(pwritev64, Op::kWrite)

// --- what makes a file whole and visible -----------------------------------------------------------------------------
#define FAULT_ON_FD(name, op)                                       \
  FAULT_DECLARE(int, name, name, int fd);                           \
  int fault_##name(int fd) {                                        \
    static const auto next = real(fault_##name, #name);             \
    return guarded(                                                 \
        op, [&] { return path_of(fd); }, [&] { return next(fd); }); \
  }
FAULT_ON_FD(fsync, Op::kSync)
FAULT_ON_FD(fdatasync, Op::kSync)
FAULT_ON_FD(syncfs, Op::kSync)

// close(2) that fails has closed all the same.
FAULT_DECLARE(int, close, close, int fd);
int fault_close(int fd) {
  static const auto next = real(fault_close, "close");
  Verdict verdict;
  if (concerned(Op::kClose)) verdict = consult(Op::kClose, path_of(fd), 0);
  const int result = next(fd);
  return verdict.error != 0 ? failed(verdict.error) : result;
}

// Both names count: a rule's path may be in either.
FAULT_DECLARE(int, rename, rename, const char* from, const char* to);
int fault_rename(const char* from, const char* to) {
  static const auto next = real(fault_rename, "rename");
  return guarded(
      Op::kRename, [&] { return path_at(AT_FDCWD, from) + " " + path_at(AT_FDCWD, to); },
      [&] { return next(from, to); });
}
FAULT_DECLARE(int, renameat, renameat, int from_folder, const char* from, int to_folder, const char* to);
int fault_renameat(int from_folder, const char* from, int to_folder, const char* to) {
  static const auto next = real(fault_renameat, "renameat");
  return guarded(
      Op::kRename, [&] { return path_at(from_folder, from) + " " + path_at(to_folder, to); },
      [&] { return next(from_folder, from, to_folder, to); });
}
FAULT_DECLARE(int, renameat2, renameat2, int from_folder, const char* from, int to_folder, const char* to,
              unsigned flags);
int fault_renameat2(int from_folder, const char* from, int to_folder, const char* to, unsigned flags) {
  static const auto next = real(fault_renameat2, "renameat2");
  return guarded(
      Op::kRename, [&] { return path_at(from_folder, from) + " " + path_at(to_folder, to); },
      [&] { return next(from_folder, from, to_folder, to, flags); });
}
FAULT_DECLARE(int, linkat, linkat, int from_folder, const char* from, int to_folder, const char* to, int flags);
int fault_linkat(int from_folder, const char* from, int to_folder, const char* to, int flags) {
  static const auto next = real(fault_linkat, "linkat");
  return guarded(
      Op::kRename, [&] { return path_at(from_folder, from) + " " + path_at(to_folder, to); },
      [&] { return next(from_folder, from, to_folder, to, flags); });
}
FAULT_DECLARE(int, unlink, unlink, const char* path);
int fault_unlink(const char* path) {
  static const auto next = real(fault_unlink, "unlink");
  return guarded(
      Op::kUnlink, [&] { return path_at(AT_FDCWD, path); }, [&] { return next(path); });
}
FAULT_DECLARE(int, unlinkat, unlinkat, int folder, const char* path, int flags);
int fault_unlinkat(int folder, const char* path, int flags) {
  static const auto next = real(fault_unlinkat, "unlinkat");
  return guarded(
      Op::kUnlink, [&] { return path_at(folder, path); }, [&] { return next(folder, path, flags); });
}

// --- metadata --------------------------------------------------------------------------------------------------------
FAULT_DECLARE(int, fchmod, fchmod, int fd, mode_t mode);
int fault_fchmod(int fd, mode_t mode) {
  static const auto next = real(fault_fchmod, "fchmod");
  return guarded(
      Op::kChmod, [&] { return path_of(fd); }, [&] { return next(fd, mode); });
}
FAULT_DECLARE(int, fchmodat, fchmodat, int folder, const char* path, mode_t mode, int flags);
int fault_fchmodat(int folder, const char* path, mode_t mode, int flags) {
  static const auto next = real(fault_fchmodat, "fchmodat");
  return guarded(
      Op::kChmod, [&] { return path_at(folder, path); }, [&] { return next(folder, path, mode, flags); });
}
FAULT_DECLARE(int, futimens, futimens, int fd, const timespec* times);
int fault_futimens(int fd, const timespec* times) {
  static const auto next = real(fault_futimens, "futimens");
  return guarded(
      Op::kUtime, [&] { return path_of(fd); }, [&] { return next(fd, times); });
}
FAULT_DECLARE(int, utimensat, utimensat, int folder, const char* path, const timespec* times, int flags);
int fault_utimensat(int folder, const char* path, const timespec* times, int flags) {
  static const auto next = real(fault_utimensat, "utimensat");
  return guarded(
      Op::kUtime, [&] { return path_at(folder, path); }, [&] { return next(folder, path, times, flags); });
}

// --- space -----------------------------------------------------------------------------------------------------------
#define FAULT_ALLOCATE(name)                                                                      \
  FAULT_DECLARE(int, name, name, int fd, int mode, off_t offset, off_t length);                   \
  int fault_##name(int fd, int mode, off_t offset, off_t length) {                                \
    static const auto next = real(fault_##name, #name);                                           \
    return guarded(                                                                               \
        Op::kAlloc, [&] { return path_of(fd); }, [&] { return next(fd, mode, offset, length); }); \
  }
FAULT_ALLOCATE(fallocate)
FAULT_ALLOCATE(fallocate64)
// These two return the error's number.
#define FAULT_POSIX_ALLOCATE(name)                                    \
  FAULT_DECLARE(int, name, name, int fd, off_t offset, off_t length); \
  int fault_##name(int fd, off_t offset, off_t length) {              \
    static const auto next = real(fault_##name, #name);               \
    if (concerned(Op::kAlloc)) {                                      \
      const Verdict verdict = consult(Op::kAlloc, path_of(fd), 0);    \
      if (verdict.error != 0) return verdict.error;                   \
    }                                                                 \
    return next(fd, offset, length);                                  \
  }
FAULT_POSIX_ALLOCATE(posix_fallocate)
FAULT_POSIX_ALLOCATE(posix_fallocate64)
#define FAULT_TRUNCATE(name)                                                        \
  FAULT_DECLARE(int, name, name, int fd, off_t length);                             \
  int fault_##name(int fd, off_t length) {                                          \
    static const auto next = real(fault_##name, #name);                             \
    return guarded(                                                                 \
        Op::kAlloc, [&] { return path_of(fd); }, [&] { return next(fd, length); }); \
  }
FAULT_TRUNCATE(ftruncate)
FAULT_TRUNCATE(ftruncate64)

#define FAULT_SPACE(name, type, where, ...)                             \
  FAULT_DECLARE(int, name, name, type place, struct statvfs* found);    \
  int fault_##name(type place, struct statvfs* found) {                 \
    static const auto next = real(fault_##name, #name);                 \
    Verdict verdict;                                                    \
    if (concerned(Op::kSpace)) verdict = consult(Op::kSpace, where, 0); \
    if (verdict.error != 0) return failed(verdict.error);               \
    const int result = next(place, found);                              \
    if (result == 0 && verdict.space) {                                 \
      found->f_bavail = *verdict.space / found->f_frsize;               \
      found->f_bfree = found->f_bavail;                                 \
    }                                                                   \
    return result;                                                      \
  }
FAULT_SPACE(statvfs, const char*, path_at(AT_FDCWD, place))
FAULT_SPACE(statvfs64, const char*, path_at(AT_FDCWD, place))
FAULT_SPACE(fstatvfs, int, path_of(place))
FAULT_SPACE(fstatvfs64, int, path_of(place))
