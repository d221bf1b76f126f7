// Files that are fetched from an origin: written under short names beside their targets, before it is known what they
// will be called, and made visible, whole, by one rename. The origin's ETag is kept with the file, in the user
// attribute user.argosy.etag, or, on a file system without such, in a small file beside it; so the next run can ask
// whether there is anything new. Of a large one a journal beside it says what is written: a run after this one goes on
// with it (download_resume.cpp).
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "base/digest.h"
#include "base/fd.h"
#include "file/beneath.h"
#include "file/journal.h"

namespace argosy::file {

// So many files may have one guess at what they will be called, one after another: `number` modulo this tells which.
inline constexpr std::uint64_t kDownloads = 32;

class Downloads {
 public:
  // `folder` outlives it. With `durable`, files are on disk before they appear under their names.
  Downloads(const Folder& folder, bool durable) : folder_(folder), durable_(durable) {}
  // Takes away what was neither committed nor discarded, and of which a run after this one could make nothing.
  ~Downloads();
  Downloads(const Downloads&) = delete;
  Downloads& operator=(const Downloads&) = delete;

  // False where the folder has nothing in it yet. Any thread, as everything here; everything blocks.
  bool has_anything() const;
  // What stands under a name.
  struct Kept {
    std::string etag;    // empty: the origin gave none, or the file is not as it was when it was fetched
    std::string source;  // as Final has it; empty: it was not fetched
    std::string digest;  // of the file, where there is an ETag
    std::int64_t size = 0;
    base::Fd fd;  // open for reading, where there is an ETag
  };
  // Of the file `name`; nothing where there is none. A file whose time has changed is read, and its digest decides.
  std::optional<Kept> kept(const std::string& name) const;
  // Reads what stands there, less at the end. Throws base::Error (kDestination).
  std::size_t read(const Kept& kept, const std::string& name, std::int64_t offset, std::span<std::byte> into) const;

  // Writes to the file `number`, which nobody can see yet; `guess` is what it will probably be called. Throws
  // base::Error (kDestination), also where another run has that name under its hands.
  void write(std::uint64_t number, const std::string& guess, std::int64_t offset, std::span<const std::byte> data);
  // What an interrupted run has begun of the file that will probably be called `guess`, and that its first number goes
  // on with. Whatever else such runs have left of it is taken away. Nothing is locked until the first write: a hint.
  std::optional<Begun> begun(const std::string& guess);
  // Takes that away, where nothing has been written to it and no other run has it under its hands.
  void remove_begun(const std::string& guess) noexcept;
  // It is known what the file `number` is: what is written of it is noted from now on. With `goes_on`: what there is of
  // the same from an interrupted run, each part read. Throws as write does.
  std::vector<core::Part> pin(std::uint64_t number, const std::string& guess, const Journal::Key& key, bool goes_on);
  // What was written has this digest (of its leaves, not closed). Throws as write does.
  void note(std::uint64_t number, core::Range range, const base::Digest& digest);
  // Reads what was written, less at the end.
  std::size_t read(std::uint64_t number, std::int64_t offset, std::span<std::byte> into) const;
  // What was written is on the device now, and read() has it from there. Throws base::Error (kDestination).
  void forget_cached(std::uint64_t number) const;
  struct Final {
    std::string name;
    std::string etag;    // empty: there is none
    std::string source;  // where it came from, a word without blanks
    std::int64_t size = 0;
    base::Digest digest;
    std::optional<std::int64_t> modified;  // seconds since 1970
  };
  // Makes it visible. Throws base::Error (kDestination).
  void commit(std::uint64_t number, const std::string& guess, const Final& how);
  // Takes it away. What has a journal stays for the next run with `stays`, and where this one was interrupted.
  void discard(std::uint64_t number, bool stays = false) noexcept;

 private:
  struct File {
    std::once_flag opened;
    std::string temporary;
    std::string shown;
    bool made = false;
    bool goes_on = false;  // with what an interrupted run has left
    base::Fd fd;
    std::mutex mutex;  // of what follows
    std::optional<Journal> journal;
    std::vector<Journal::Record> unnoted;  // written before there was a journal
  };
  // Of a file that an interrupted run has begun.
  struct Leftover {
    std::uint64_t number = 0;  // in its name
    bool there = true;         // nothing has been done with it yet
  };
  std::shared_ptr<File> file(std::uint64_t number, const std::string& guess);
  std::shared_ptr<File> find(std::uint64_t number) const;
  void open(File& file) const;
  bool take_over(const File& file, int fd) const;
  void look_for_leftovers();
  void remove_leftover(const std::string& name) const noexcept;
  void remove(const File& file) const noexcept;
  JournalNames journal_of(const std::string& temporary) const;
  void keep(const File& file, const Final& how) const;
  void set_time(const File& file, const Final& how) const;

  const Folder& folder_;
  bool durable_;
  mutable std::mutex mutex_;
  std::map<std::uint64_t, std::shared_ptr<File>> files_;
  std::map<std::string, Leftover> begun_;  // by guess
  std::once_flag looked_;
  std::set<std::string> leftovers_;  // downloads in the folder when it was looked at, by name
};

}  // namespace argosy::file
