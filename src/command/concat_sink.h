// Where `gather --concat` puts one giver's files: the giver's manifest begins with a folder, and what is beneath it
// goes beneath OUT, beside other givers' where OUT is the same for several. A manifest that names anything else is
// refused.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "core/claims.h"
#include "core/endpoint.h"
#include "file/beneath.h"
#include "file/writer.h"

namespace argosy::command {

// OUT as it is for one giver or for several.
struct Gathering {
  std::string shown;          // as the user named it, templates filled in
  std::vector<int> givers;    // ranks, the lowest first
  bool dry_run = false;       // nothing is moved
  bool top_as_it_is = false;  // the folder itself keeps its mode, owner and times
  std::string prefix;         // what paths begin with for the writer: empty, or OUT's name where that is renamed
  std::optional<file::Folder> folder;  // OUT, or what it is to appear in by a rename; none where nothing is written
  std::unique_ptr<file::Writer> writer;
  std::mutex mutex;     // of what follows, and of the writer while it looks at a page
  core::Claims claims;  // where there are several givers
  std::mutex names_mutex;
  std::vector<std::string> names;  // what would change, where nothing is to be moved; ConcatOut::take_names()
  bool is_shared() const { return givers.size() > 1; }
};

// Where every manifest of a giver begins; OUT's name is the receiver's business.
inline constexpr std::string_view kTop = "top";

class ConcatSink final : public core::Sink {
 public:
  // What it does with a page: hears which paths there are (of shared gatherings, before anything is moved), or moves.
  enum class Purpose { kHear, kMove };
  // `gathering` and `hosts` (of all ranks) outlive it. `number` tells the giver's entries from those of other givers of
  // the gathering: the lower, the more its word on a folder that several have counts.
  ConcatSink(Gathering& gathering, int giver, std::uint64_t number, const std::vector<std::string>& hosts,
             Purpose purpose);

  std::vector<bool> examine(const core::Page& page) override { return inspect(page).wanted; }
  core::Examination inspect(const core::Page& page) override;
  void write(std::uint64_t entry, std::int64_t offset, std::span<const std::byte> data) override {
    gathering_.writer->write(entry + base_, offset, data);
  }
  void hole(std::uint64_t entry, std::int64_t offset, std::int64_t length) override {
    gathering_.writer->hole(entry + base_, offset, length);
  }
  void written(std::uint64_t entry, core::Range range, const base::Digest& digest) override {
    gathering_.writer->written(entry + base_, range, digest);
  }
  base::Digest held(std::uint64_t entry, core::Range range) override {
    return gathering_.writer->held(entry + base_, range);
  }
  void commit(std::uint64_t entry, std::int64_t length, const base::Digest& digest) override {
    gathering_.writer->commit(entry + base_, length, digest);
  }
  void discard(std::uint64_t entry) noexcept override { gathering_.writer->discard(entry + base_); }
  void leave(std::uint64_t entry) noexcept override { gathering_.writer->leave(entry + base_); }

 private:
  std::string placed(const std::string& path) const;
  std::optional<base::Failure> refuse(const core::Entry& entry, bool& granted);
  std::string shown(std::string_view beneath) const;
  void list_wanted(const core::Page& page, const core::Examination& found);

  Gathering& gathering_;
  int giver_;
  std::uint64_t base_;
  const std::vector<std::string>& hosts_;
  Purpose purpose_;
};

}  // namespace argosy::command
