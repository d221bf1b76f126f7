// Files that are fetched from an origin: written under short names beside their targets, before it is known what they
// will be called, and made visible, whole, by one rename. The origin's ETag is kept with the file, in the user
// attribute user.argosy.etag, or, on a file system without such, in a small file beside it; so the next run can ask
// whether there is anything new.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>

#include "base/fd.h"
#include "file/beneath.h"

namespace argosy::file {

class Downloads {
 public:
  // `folder` outlives it. With `durable`, files are on disk before they appear under their names.
  Downloads(const Folder& folder, bool durable) : folder_(folder), durable_(durable) {}
  // Takes away what was neither committed nor discarded.
  ~Downloads();
  Downloads(const Downloads&) = delete;
  Downloads& operator=(const Downloads&) = delete;

  // False where the folder has nothing in it yet. Any thread, as everything here; everything blocks.
  bool has_anything() const;
  // What is kept of a file's origin.
  struct Kept {
    std::string etag;
    std::int64_t size = 0;
  };
  // Of the file `name`, where it is still as long as when it was fetched.
  std::optional<Kept> kept(const std::string& name) const;

  // Writes to the file `number`, which nobody can see yet; `guess` is what it will probably be called. Throws
  // base::Error (kDestination), also where another run has that name under its hands.
  void write(std::uint64_t number, const std::string& guess, std::int64_t offset, std::span<const std::byte> data);
  // Reads what was written, less at the end.
  std::size_t read(std::uint64_t number, std::int64_t offset, std::span<std::byte> into) const;
  // What was written is on the device now, and read() has it from there. Throws base::Error (kDestination).
  void forget_cached(std::uint64_t number) const;
  struct Final {
    std::string name;
    std::string etag;  // empty: none is kept
    std::int64_t size = 0;
    std::optional<std::int64_t> modified;  // seconds since 1970
  };
  // Makes it visible. Throws base::Error (kDestination).
  void commit(std::uint64_t number, const std::string& guess, const Final& how);
  void discard(std::uint64_t number) noexcept;

 private:
  struct File {
    std::once_flag opened;
    std::string temporary;
    std::string shown;
    bool made = false;
    base::Fd fd;
  };
  std::shared_ptr<File> file(std::uint64_t number, const std::string& guess);
  std::shared_ptr<File> find(std::uint64_t number) const;
  void open(File& file) const;
  bool take_over(const File& file, int fd) const;
  void keep(const File& file, const Final& how) const;

  const Folder& folder_;
  bool durable_;
  mutable std::mutex mutex_;
  std::map<std::uint64_t, std::shared_ptr<File>> files_;
};

}  // namespace argosy::file
