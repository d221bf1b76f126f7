// The digest of a file that is on disk.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "base/digest.h"
#include "base/fd.h"

namespace argosy::file {

// Opens a file for reading whatever the length of its path; invalid, with errno. Blocks.
base::Fd open_long(const std::string& path);

// Of the first `length` bytes of what `fd` refers to. Blocks. Nothing where they can't be read, are fewer, or the job
// is asked to stop.
std::optional<base::Digest> digest_of_fd(int fd, std::int64_t length);
// The same of the file at `path`.
std::optional<base::Digest> digest_of_file(const std::string& path, std::int64_t length);

// A file that is opened to be digested. Errors are base::Error (kSource) about `shown`: it can't be read, or is not of
// the size that was announced. Blocks.
class OpenedForDigest {
 public:
  OpenedForDigest(const std::string& path, const std::string& shown, std::int64_t size);
  // The sum over the leaves from `offset`, a multiple of base::kLeafSize, on.
  base::Digest sum(std::int64_t offset, std::int64_t length) const;
  // The sum over all leaves that there are, whatever size was announced, and in `length` how many bytes those have.
  base::Digest sum_to_end(std::int64_t& length) const;
  // Of the whole file, in hexadecimal digits.
  std::string sha256() const;

 private:
  std::size_t read(std::span<std::byte> into, std::int64_t offset) const;

  std::string shown_;
  base::Fd fd_;
};

}  // namespace argosy::file
