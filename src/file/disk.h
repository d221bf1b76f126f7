// What is done with descriptors in this room, in one place. All block; what writes throws base::Error (kDestination)
// that calls the file `shown`.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "base/fd.h"

namespace argosy::file {

// Fills `into` from `offset` on, less at the file's end: how much that was. Negative, with errno, where it can't be
// read.
std::int64_t read_up_to(int fd, std::int64_t offset, std::span<std::byte> into);

// All of `data` at `offset`.
void write_at(int fd, std::int64_t offset, std::span<const std::byte> data, const std::string& shown);

// Room for `bytes` from the beginning of the file; where the file system can't promise any, none.
void take_room(int fd, std::int64_t bytes, const std::string& shown);

// Whether there is room for `bytes` on the file system that `fd` is on; none is taken. A file system that tells of no
// limit has it.
void check_room(int fd, std::int64_t bytes, const std::string& shown);

// Closes, with `durable` after having the file on disk.
void close_written(base::Fd& fd, bool durable, const std::string& shown);

}  // namespace argosy::file
