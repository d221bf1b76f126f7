// The file source: named files, folders with all that is beneath them, and standard input, read for an Origin. A folder
// is walked while its files are already read: what is held of a file is gone when it is closed. A file is opened when
// its first extent is read and held open until it is closed; that it is the file that was announced, and has not
// changed, is checked then.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/fd.h"
#include "core/endpoint.h"
#include "file/walk.h"

namespace argosy::file {

// One source. `path` is where it is, `name` what it is called at the destination; `shown` is how the user named it.
struct Named {
  std::string path;
  std::string name;
  std::string shown;
  bool standard_input = false;
};

class Reader final : public core::Source {
 public:
  struct Totals {
    std::int64_t files = 0;   // sources that can be read, each folder among them counted as one
    std::int64_t bytes = 0;   // of the files among them
    bool open_ended = false;  // standard input or a folder is among them: more will come than is counted
    std::int64_t folders = 0;
    std::vector<base::Failure> failures;
  };
  // `standard_input` opens it when it is first read; it may throw base::Error.
  Reader(std::vector<Named> files, std::function<base::Fd()> standard_input, Selection selection = {});

  // Looks at every source: what there is to move, as far as that is known before folders are walked. What of a file
  // can't be had but its attributes is no obstacle to the rest. With `digests`
  // every file is read for its digest before it is listed. Call it once, before anything else; blocks.
  Totals scan(bool digests);
  // Folders that are not walked into. Before the first next_entries().
  void leave_out(const std::vector<FolderId>& folders);

  core::Listing next_entries() override;
  void adopt(const core::Page& page) override;
  std::size_t read(std::uint64_t entry, std::int64_t offset, std::span<std::byte> into) override;
  bool read_whole(std::uint64_t entry, std::span<std::byte> into) override;
  core::Region region(std::uint64_t entry, std::int64_t offset, std::int64_t length) override;
  void close(std::uint64_t entry) override;

 private:
  // What was announced of a file,
  struct Known {
    std::string path;
    std::int64_t size = 0;
    bool sparse = false;
    std::uint64_t inode = 0;
    core::Timestamp mtime;
    core::Timestamp ctime;
  };
  // that may still be read.
  struct Item {
    const Named* named = nullptr;  // null where this rank has no such source
    std::size_t source = 0;
    bool beneath = false;  // it is in a folder that is the source
    Known entry;
    std::string shown() const;
    bool standard_input() const { return named != nullptr && named->standard_input; }
    // How many names the file had; 0: not known here, where another rank has looked at it.
    std::uint64_t links = 0;
    std::vector<std::pair<std::size_t, std::string>> others;  // of these names: source and path
    std::once_flag opened;
    base::Fd fd;
  };
  // What the scan has found.
  struct Found {
    core::Entry entry;
    struct stat status = {};
  };
  Found look_at(const Named& named);
  std::optional<core::Entry> take_named(std::size_t source);
  Walk& walk_of(std::size_t source);
  base::Fd open_path(std::size_t source, const std::string& path);
  base::Fd open_other_name(const Item& item);
  using Items = std::vector<std::pair<std::uint64_t, std::shared_ptr<Item>>>;
  std::shared_ptr<Item> item_for(const core::Entry& entry, std::size_t source, std::uint64_t links) const;
  void keep(Items&& items);
  void keep_name(const core::Entry& entry, std::size_t source);
  std::shared_ptr<Item> item(std::uint64_t entry);
  std::shared_ptr<Item> take(std::uint64_t entry);
  static std::size_t read_from(const Item& item, std::int64_t offset, std::span<std::byte> into);
  std::shared_ptr<Item> opened(std::uint64_t entry);
  void open_file(Item& item);
  static void check_unchanged(const Item& item);

  std::vector<Named> files_;
  std::function<base::Fd()> standard_input_;
  Selection selection_;
  bool digests_ = false;
  // For each source: its walk where it is a folder, else what the scan has found.
  std::vector<std::unique_ptr<Walk>> walks_;
  std::vector<Found> found_;
  Names names_;
  std::vector<base::Failure> failures_;
  std::unordered_map<std::string, std::size_t> by_name_;
  std::size_t listing_ = 0;  // the source that is being listed
  std::optional<core::Entry> left_over_;
  std::uint64_t links_ = 0;  // of the entry that was listed last
  std::uint64_t listed_ = 0;
  std::mutex mutex_;
  std::unordered_map<std::uint64_t, std::shared_ptr<Item>> items_;
  std::unordered_map<std::string, std::shared_ptr<Item>> firsts_;  // of these, files with several names, by path
};

}  // namespace argosy::file
