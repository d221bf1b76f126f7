// A saved manifest beside a folder that is another one on each rank or host. Rank 0 reads the manifest a batch at a
// time; whoever has a folder compares it with each batch, and then looks for what no batch has named.
#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "command/dealt.h"
#include "command/place.h"
#include "command/verify.h"
#include "command/verify_compare.h"
#include "command/verify_find.h"

namespace argosy::command {

namespace {

using engine::Bytes;

constexpr std::size_t kItems = 4096;
constexpr std::size_t kBytes = 256 * 1024;
constexpr double kGatherSeconds = 3600;

std::string text_of(const Bytes& bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

Bytes bytes_of(const std::string& text) {
  const auto bytes = std::as_bytes(std::span(text));
  return {bytes.begin(), bytes.end()};
}

class Copies {
 public:
  Copies(Phases& phases, const std::string& start, const VerifyOptions& asked, const file::Metadata& what)
      : phases_(phases),
        session_(phases.session()),
        sides_(owners(session_, asked.directory)),
        directory_(absolute(start, expand(asked.directory, session_.rank(), session_.host(session_.rank())))),
        comparison_(phases, directory_, {}, what),
        not_named_(directory_) {
    if (session_.rank() == 0) lines_ = find_lines(absolute(start, asked.manifest));
    takes_part_ = std::find(sides_.begin(), sides_.end(), session_.rank()) != sides_.end();
  }

  mpi::Verdict run(Report& report, Lines& lines, base::Failures& failures) {
    for (const int rank : sides_) {
      where_.push_back(fmt::format(" on {} (rank {})", base::printable(session_.host(rank)), rank));
      taken_.push_back(std::make_unique<Differences>(lines, report, failures));
    }
    mpi::Verdict all = phases_.run_task("verify", takes_part_ ? [this] { not_named_.open(); } : Task{}, nothing);
    // Whose folder can't be read has no part in what follows.
    if (phases_.failure()) failures.add(*phases_.failure());
    if (phases_.failure()) takes_part_ = false;
    Bytes batch;
    while (all.interrupted == 0) {
      all = compare(batch, failures);
      if (batch.empty()) break;
    }
    // After a manifest that is damaged in its middle nobody can say what it does not name.
    if (all.interrupted == 0 && all.failed == 0) all = look_for_others(failures);
    report.unfounded = damage_.has_value();
    return all;
  }

 private:
  using Task = std::function<void()>;
  static mpi::Verdict nothing() { return {}; }

  // Everybody compares the batch, and rank 0 reads the next one.
  mpi::Verdict compare(Bytes& batch, base::Failures& failures) {
    Bytes result;
    Bytes next;
    mpi::Verdict all = phases_.run_task(
        "verify",
        [&] {
          if (takes_part_ && !batch.empty()) {
            for (const Compared& item : items_of(batch)) not_named_.name(item);
            result = comparison_.work(batch);
          }
          if (session_.rank() == 0) next = read();
        },
        nothing);
    if (phases_.failure()) failures.add(*phases_.failure());
    take(result);
    batch = bytes_of(session_.exchange(text_of(next)).front());
    return all;
  }

  // Empty at the end, and after an error, which is thrown when what was read before it has been compared.
  Bytes read() {
    std::vector<Compared> items;
    std::vector<base::Failure> none;
    std::size_t size = 0;
    try {
      while (!damage_ && items.size() < kItems && size < kBytes) {
        auto item = lines_->next(none);
        if (!item) break;
        size += item->path.size() + item->line.size();
        items.push_back(std::move(*item));
      }
    } catch (const base::Error& error) {
      damage_ = error;
    }
    if (!items.empty()) return task_of({}, items);
    if (damage_) throw base::Error(*damage_);
    return {};
  }

  mpi::Verdict look_for_others(base::Failures& failures) {
    mpi::Verdict all;
    bool more = takes_part_;
    do {
      Bytes result;
      const auto look = [&] {
        std::vector<Compared> items;
        std::vector<base::Failure> unreadable;
        std::size_t size = 0;
        while (more && items.size() < kItems && size < kBytes) {
          auto item = not_named_.next(unreadable);
          more = item.has_value();
          if (!item) break;
          size += item->path.size();
          items.push_back(std::move(*item));
        }
        result = comparison_.work(task_of(phases_.signed_here(unreadable), items));
      };
      all = phases_.run_task("verify", more ? Task(look) : Task(), [&more] {
        mpi::Verdict mine;
        mine.succeeded = more ? 1 : 0;
        return mine;
      });
      if (phases_.failure()) failures.add(*phases_.failure());
      take(result);
    } while (all.succeeded > 0 && all.interrupted == 0);
    return all;
  }

  void take(const Bytes& result) {
    const std::vector<std::string> texts = session_.gather(text_of(result), kGatherSeconds);
    if (session_.rank() != 0) return;
    for (std::size_t side = 0; side < sides_.size(); ++side) {
      taken_[side]->take(bytes_of(texts[static_cast<std::size_t>(sides_[side])]), where_[side]);
    }
  }

  Phases& phases_;
  mpi::Session& session_;
  std::vector<int> sides_;  // the ranks that have a folder
  std::string directory_;   // this one's
  Comparison comparison_;
  NotNamed not_named_;
  bool takes_part_ = false;
  std::unique_ptr<Finder> lines_;      // rank 0's
  std::optional<base::Error> damage_;  // that they end with
  std::vector<std::string> where_;
  std::vector<std::unique_ptr<Differences>> taken_;
};

}  // namespace

mpi::Verdict verify_copies(Phases& phases, const std::string& start, const VerifyOptions& asked,
                           const file::Metadata& what, Report& report, Lines& lines, base::Failures& failures) {
  return Copies(phases, start, asked, what).run(report, lines, failures);
}

}  // namespace argosy::command
