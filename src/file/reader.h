// The file source: named files, and standard input, read for an Origin. A file is opened when its first extent is read
// and held open until it is closed; that it is the file that was announced, and has not changed, is checked at both
// ends.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/error.h"
#include "base/fd.h"
#include "core/endpoint.h"

namespace argosy::file {

// One file to be read. `path` is where it is, `name` what it is called at the destination; `shown` is how the user
// named it.
struct Named {
  std::string path;
  std::string name;
  std::string shown;
  bool standard_input = false;
};

class Reader final : public core::Source {
 public:
  struct Totals {
    std::int64_t files = 0;  // that can be read
    std::int64_t bytes = 0;
    bool open_ended = false;  // standard input is among them: more bytes will come than are counted
    std::vector<base::Failure> failures;
  };
  // `standard_input` opens it when it is first read; it may throw base::Error.
  Reader(std::vector<Named> files, std::function<base::Fd()> standard_input);

  // Looks at every file: what there is to move, and with `digests` also reads every file for its digest. Call it once,
  // before anything else; blocks.
  Totals scan(bool digests);

  core::Listing next_entries() override;
  void adopt(const core::Page& page) override;
  std::size_t read(std::uint64_t entry, std::int64_t offset, std::span<std::byte> into) override;
  void close(std::uint64_t entry) override;

 private:
  struct Open {
    std::once_flag opened;
    base::Fd fd;
  };
  std::shared_ptr<Open> opened(std::uint64_t entry);
  void open_file(std::uint64_t index, Open& open) const;
  void check_unchanged(std::uint64_t index, int fd) const;

  std::vector<Named> files_;
  std::function<base::Fd()> standard_input_;
  std::vector<core::Entry> entries_;
  std::vector<base::Failure> failures_;
  std::size_t listed_ = 0;
  std::mutex mutex_;
  std::unordered_map<std::uint64_t, std::shared_ptr<Open>> open_;
};

// The names in a list file, one a line, or with `nul` each ended by a NUL; empty ones are left out. `list` is its path.
// Throws base::Error (kSource).
std::vector<std::string> read_list(const base::Fd& list, const std::string& path, bool nul);

}  // namespace argosy::file
