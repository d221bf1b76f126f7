// The folders of a stripe that a rank sees, and reading from them. What is in them may be damaged, swapped or gone: the
// one who asks knows the digests.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/fd.h"
#include "core/stripe_endpoint.h"
#include "core/stripe_manifest.h"

namespace argosy::file {

// A folder NAME.argosy, and what it seems to hold.
struct StripeFolder {
  std::string path;
  bool own = false;          // it is where this rank would write
  bool aside = false;        // it is finished and not in its place (file/stripe_workplace.h)
  std::uint64_t device = 0;  // and
  std::uint64_t inode = 0;   // tell it from others of this host
  std::string manifest;      // its text where it is right, else empty,
  std::string why;           // and why it is not
  bool table = false;        // one is there,
  bool table_right = false;  // and all of it is right
  std::set<std::uint32_t> shares;
  bool chunks = false;  // chunks of a share that nothing here tells
};

class StripeShelf final : public core::Shelf {
 public:
  // Blocks: the folders that `pattern` leads to, that of `own` first, and what lies finished beside each. In `pattern`,
  // DIR/NAME.argosy, %r stands for any number, %h for any name and %% for a percent sign. Throws base::Error (kSource)
  // where one can't be looked at.
  void find(const std::string& own, const std::string& pattern);
  const std::vector<StripeFolder>& folders() const { return folders_; }

  void read(std::uint32_t folder, const core::Place& place, std::int64_t chunk_size,
            std::span<std::byte> into) override;
  void read_table(std::uint32_t folder, std::int64_t first_row, std::span<std::byte> into) override;

 private:
  void look_at(const std::string& path, bool own);
  void look_into(const std::string& path, bool own, bool aside);
  std::shared_ptr<base::Fd> opened(const std::string& path, bool keep);

  std::vector<StripeFolder> folders_;
  std::vector<core::StripeLayout> layouts_;
  std::mutex mutex_;
  std::unordered_map<std::string, std::shared_ptr<base::Fd>> open_;
};

inline constexpr std::size_t kMostStripeFolders = 4096;
// The paths that `pattern` leads to, in order; at most `most`.
std::vector<std::string> match_paths(const std::string& pattern, std::size_t most);

}  // namespace argosy::file
