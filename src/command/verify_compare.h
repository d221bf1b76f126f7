// What was found to be compared is looked at: by any rank, and what came of it taken at rank 0.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/failures.h"
#include "base/fd.h"
#include "command/lines.h"
#include "command/phases.h"
#include "command/report.h"
#include "command/verify_find.h"
#include "engine/deal.h"
#include "file/compare.h"
#include "file/folders.h"
#include "file/metadata.h"

namespace argosy::command {

// A task: what couldn't be read, which is passed on, and what is to be looked at. And the latter out of one.
engine::Bytes task_of(const std::vector<base::Failure>& failures, const std::vector<Compared>& items);
std::vector<Compared> items_of(const engine::Bytes& task);

class Comparison {
 public:
  // Of two trees; where a manifest's lines are compared of `first` with those. `phases` outlives it.
  Comparison(Phases& phases, const std::string& first, const std::string& second, file::Metadata what)
      : phases_(phases), first_(first), second_(second), what_(what) {}

  // The next task; nothing at the end. On an I/O thread. Does not throw.
  std::optional<engine::Bytes> next(Finder& finder);
  // With nothing under way: the finder could not go on.
  bool gave_up() const { return gave_up_; }
  // Does a task, on I/O threads, several at once. Does not throw: that a tree can't be read here is told once.
  engine::Bytes work(const engine::Bytes& task);

 private:
  // A folder, or a single file, that is opened on an I/O thread when it is first needed.
  class Tree {
   public:
    explicit Tree(std::string path) : path_(std::move(path)) {}
    // Throws base::Error (kSource): it can't be read.
    file::Folders& folders();
    // Where `beneath` is; a single file is where it is by any name.
    file::Place place(const std::string& beneath) {
      file::Folders& opened = folders();
      return {opened, file_.empty() ? beneath : file_};
    }
    std::string shown(const std::string& beneath) const {
      return beneath.empty() || !file_.empty() ? path_ : path_ + '/' + beneath;
    }

   private:
    std::string path_;
    std::string file_;  // its name in its folder
    std::once_flag once_;
    base::Fd base_;
    std::optional<file::Folders> folders_;
  };
  void look(Compared& item);
  void look_at_line(Compared& item);

  Phases& phases_;
  Tree first_;
  Tree second_;
  file::Metadata what_;
  bool ended_ = false;
  bool gave_up_ = false;
  std::atomic<bool> told_{false};  // that a tree can't be read here
};

// Rank 0: what came of the tasks, in their order. Everything outlives it.
class Differences {
 public:
  Differences(Lines& lines, Report& report, base::Failures& failures)
      : lines_(lines), report_(report), failures_(failures) {}
  // `where` is put behind each line.
  void take(const engine::Bytes& result, const std::string& where = {});

 private:
  Lines& lines_;
  Report& report_;
  base::Failures& failures_;
  std::string differs_;
};

}  // namespace argosy::command
