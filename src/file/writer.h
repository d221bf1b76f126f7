// The file sink: writes each file beside its target under a short name of its own, and makes it visible, whole and with
// its metadata, by one rename (the manner of leveldb's CURRENT: write, sync, rename).
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/fd.h"
#include "core/endpoint.h"
#include "file/beneath.h"
#include "file/lock.h"

namespace argosy::file {

class Writer final : public core::Sink {
 public:
  struct Settings {
    bool fsync = false;       // durable before it is visible
    bool read_back = false;   // read again from the device and compared before it is visible
    bool leave_same = false;  // a target of the source's size and mtime is in place,
    bool checksum = false;    // or rather one of its digest, which the manifest then has
  };
  // `folder` outlives the writer; it is null when there is nothing to write, because no source can be read.
  Writer(const Folder* folder, Settings settings) : folder_(folder), settings_(settings) {}
  // Takes away what was neither committed nor discarded.
  ~Writer() override;

  std::vector<bool> examine(const core::Page& page) override;
  void write(std::uint64_t entry, std::int64_t offset, std::span<const std::byte> data) override;
  void commit(std::uint64_t entry, std::int64_t length, const base::Digest& digest) override;
  void discard(std::uint64_t entry) noexcept override;
  // Of what has been written of an entry so far, as long as `length`: for whoever had it in no order that could be
  // digested on the way. Nothing where it can't be read. Throws as write does.
  std::optional<base::Digest> written_digest(std::uint64_t entry, std::int64_t length);

 private:
  // A file that nobody can see yet.
  struct Target {
    core::Entry entry;
    std::string shown;
    std::string temporary;
    std::once_flag opened;
    std::optional<Lock> lock;
    bool made = false;  // the file under the temporary name is ours
    base::Fd fd;
  };
  std::shared_ptr<Target> target(std::uint64_t entry);
  bool is_in_place(const core::Entry& entry) const;
  void open(Target& target) const;
  void read_back(const Target& target, std::int64_t length, const base::Digest& digest) const;
  void set_metadata(const Target& target) const;
  void publish(Target& target) const;

  const Folder* folder_;
  Settings settings_;
  std::mutex mutex_;
  std::unordered_map<std::uint64_t, std::shared_ptr<Target>> targets_;
};

}  // namespace argosy::file
