#include "command/gather.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "base/seconds.h"
#include "command/concat.h"
#include "command/gather_tree.h"
#include "command/place.h"
#include "command/recorded_source.h"
#include "command/saved_manifest.h"
#include "command/sources.h"
#include "command/stripe_collect.h"
#include "command/stripe_find.h"
#include "command/stripe_job.h"
#include "file/beneath.h"
#include "file/writer.h"

namespace argosy::command {

namespace {

using base::Kind;
using Clock = std::chrono::steady_clock;

// What is brought of the file: all of it, or a range.
struct Span {
  std::int64_t begin = 0;
  std::int64_t end = 0;
  bool whole = true;
};

// Puts chunks where they belong in OUT, as far as they are wanted.
class OutSink final : public core::CellSink {
 public:
  OutSink(file::Writer& writer, Span span) : writer_(writer), span_(span) {}

  void put(const core::Cell& cell, const core::Row& /*row*/, std::span<const std::byte> data) override {
    const std::int64_t begin = std::max(cell.offset, span_.begin);
    const std::int64_t end = std::min(cell.offset + cell.length, span_.end);
    if (begin >= end) return;
    writer_.write(0, begin - span_.begin,
                  data.subspan(static_cast<std::size_t>(begin - cell.offset), static_cast<std::size_t>(end - begin)));
  }
  void put_table(std::int64_t /*first_row*/, std::span<const std::byte> /*rows*/) override {}

 private:
  file::Writer& writer_;
  Span span_;
};

class Gather {
 public:
  Gather(const Options& options, const GatherOptions& asked, mpi::Session& session, const Surroundings& surroundings)
      : job_(options, session, surroundings, GatherOptions::kName), asked_(asked), here_(session.rank() == asked.to) {}

  Report run() {
    if (job_.surroundings.observer != nullptr) job_.surroundings.observer->started();
    const auto start = Clock::now();
    found_ = find_stripe(job_, asked_, shelf_);
    Parcels parcels;
    const bool goes_on = found_ && choose_span() && !is_in_place() && job_.interrupted == 0 &&
                         take_memory(job_, found_->manifest, asked_.to, parcels) && open();
    job_.report.seconds.scan = base::seconds_since(start);
    if (goes_on) {
      const auto begun = Clock::now();
      bring(parcels);
      job_.report.seconds.transfer = base::seconds_since(begun);
      const auto moved = Clock::now();
      commit();
      job_.report.seconds.commit = base::seconds_since(moved);
    }
    return job_.finish();
  }

 private:
  bool choose_span() {
    span_ = {0, found_->manifest.file.size, true};
    if (!asked_.range) return true;
    if (found_->manifest.tree) {
      if (job_.me == 0) {
        job_.report_failure({Kind::kUsage, found_->manifest.file.path, -1, {}, 0, "is a folder: --range is of a file"});
      }
      return false;
    }
    const std::int64_t size = span_.end;
    if (asked_.range->offset > size) {
      if (job_.me == 0) {
        job_.report_failure(
            {Kind::kUsage,
             found_->manifest.file.path,
             -1,
             {},
             0,
             fmt::format("--range begins at {}, behind the file's {} bytes", asked_.range->offset, size)});
      }
      return false;
    }
    span_.whole = false;
    span_.begin = asked_.range->offset;
    span_.end = span_.begin + std::min(asked_.range->length, size - span_.begin);
    return true;
  }

  // OUT is the folder that was striped: then this is all that there is to do.
  bool is_in_place() {
    if (!found_->manifest.tree || asked_.checksum) return false;
    const std::string out = absolute(job_.options.start_directory, asked_.out);
    std::optional<file::SignedTree> there;
    std::function<void()> look;
    if (here_) look = [&] { there = tree_in_place(out, found_->manifest, asked_.tree); };
    job_.run_task(look, "scan");
    if (job_.session.exchange(there ? 1 : 0)[static_cast<std::size_t>(asked_.to)] == 0) return false;
    if (there) {
      job_.report.files = there->files;
      job_.report.folders = there->folders;
      job_.report.bytes = there->bytes;
      job_.report.stripe = describe(found_->manifest);
    }
    if (!asked_.save_manifest.empty()) record(out);
    return true;
  }

  // The folder OUT, which is in place, as the saved manifest.
  void record(const std::string& out) {
    base::Failures failures;
    std::function<void()> task;
    if (here_) {
      task = [&] {
        open_manifest();
        file::Selection all;
        all.metadata = metadata_of(asked_.tree);
        failures = record_tree({out, base_name(out), asked_.out}, all, *manifest_);
        manifest_->finish();
      };
    }
    job_.run_task(task, "commit");
    if (job_.phases.failure()) job_.report_failure(*job_.phases.failure());
    job_.report_failures(std::move(failures));
  }

  // OUT's folder and its temporary file.
  bool open() {
    std::function<void()> make;
    if (here_) {
      make = [this] {
        const std::string out = absolute(job_.options.start_directory, asked_.out);
        const std::string name = base_name(out);
        if (!core::is_safe_path(name)) throw base::Error(Kind::kUsage, asked_.out, 0, "is no name for a file");
        const std::string folder = out.substr(0, out.size() - name.size());
        if (found_->manifest.tree) {
          tree_.emplace(folder, name, asked_, job_.options.common, span_.end);
          open_manifest();
          return;
        }
        folder_.emplace(folder, span_.end - span_.begin);
        open_manifest();
        file::Writer::Settings how;
        how.fsync = job_.options.common.fsync;
        how.read_back = job_.options.common.read_back;
        how.metadata = metadata_of(asked_.tree);
        // A stripe's manifest has neither owner nor attributes.
        how.metadata.owner = how.metadata.attributes = false;
        how.journals = false;
        if (manifest_) how.manifest = put_into(*manifest_);
        writer_ = std::make_unique<file::Writer>(&*folder_, how);
        core::Page page;
        page.last = true;
        page.entries = {found_->manifest.file};
        page.entries[0].path = name;
        page.entries[0].size = span_.end - span_.begin;
        static_cast<void>(writer_->examine(page));
        // Here and now: that it can't be made must not be found out after a gigabyte.
        writer_->write(0, 0, {});
      };
    }
    const mpi::Verdict made = job_.run_task(make, "scan");
    if (job_.phases.failure()) job_.report_failure(*job_.phases.failure());
    job_.phases.expect(span_.end - span_.begin, 1);
    if (made.failed == 0 && made.interrupted == 0) return true;
    leave();
    return false;
  }

  // Where one is wanted; it may be in the folder that OUT is in.
  void open_manifest() {
    if (asked_.save_manifest.empty()) return;
    manifest_.emplace(absolute(job_.options.start_directory, asked_.save_manifest));
  }

  void bring(const Parcels& parcels) {
    const core::Stripe stripe = found_->manifest.stripe();
    engine::Collector::Settings settings;
    std::optional<OutSink> file_sink;
    core::CellSink* sink = nullptr;
    if (here_) {
      if (!tree_) file_sink.emplace(*writer_, span_);
      sink = tree_ ? static_cast<core::CellSink*>(&*tree_) : &*file_sink;
      const bool any = span_.end > span_.begin;
      settings.first_group = any ? stripe.group_of_chunk(span_.begin / stripe.chunk_size()) : 0;
      settings.end_group = any ? stripe.group_of_chunk((span_.end - 1) / stripe.chunk_size()) + 1 : 0;
      settings.wants = [this](const core::Cell& cell, const core::Row&) {
        return !cell.parity && cell.offset < span_.end && cell.offset + cell.length > span_.begin;
      };
    }
    collected_ = collect(job_, *found_, shelf_, parcels, asked_.to, sink, std::move(settings),
                         asked_.directory + '/' + asked_.name);
  }

  void commit() {
    std::optional<base::Digest> digest;
    std::function<void()> task;
    if (here_ && collected_.whole) {
      task = [this, &digest] {
        const core::StripeManifest& manifest = found_->manifest;
        const std::int64_t length = span_.end - span_.begin;
        const bool adds_up = span_.whole && manifest.chunk_size % base::kLeafSize == 0;
        if (adds_up) {
          digest = base::close_digest(collected_.counts.sum, length);
        } else {
          digest = tree_ ? tree_->digest() : writer_->written_digest(0, length);
        }
        if (!digest) throw base::Error(Kind::kDestination, asked_.out, EIO, "can't be read again");
        if (span_.whole && *digest != manifest.digest) {
          throw base::Error(Kind::kIntegrity, asked_.out, 0,
                            "the digest is not the file's, though every chunk's is right");
        }
        if (tree_) {
          unpacked_ = tree_->unpack(manifest_ ? &*manifest_ : nullptr);
          return;
        }
        writer_->commit(0, length, *digest);
        unpacked_.failures = writer_->finish().failures;
        if (job_.options.common.fsync) folder_->sync();
      };
    }
    job_.run_task(task, "commit");
    if (job_.phases.failure()) job_.report_failure(*job_.phases.failure());
    const bool done = here_ && collected_.whole && !job_.phases.failure();
    const bool arrived = done && (!tree_ || unpacked_.files + unpacked_.folders > 0);
    if (done) job_.report_failures(std::move(unpacked_.failures));
    if (done && tree_) {
      job_.report.files = unpacked_.files;
      job_.report.folders = unpacked_.folders;
      job_.report.bytes = unpacked_.bytes;
      job_.report.bytes_moved = span_.end;
    } else if (done) {
      job_.report.files = 1;
      job_.report.bytes = job_.report.bytes_moved = span_.end - span_.begin;
      job_.report.digest = base::to_string(*digest);
      job_.report.name = base_name(asked_.out);
    }
    if (here_) {
      StripeReport stripe = describe(found_->manifest);
      stripe.rebuilt = collected_.counts.rebuilt;
      stripe.damaged = collected_.counts.damaged;
      if (!collected_.whole) stripe.losses = -1;
      job_.report.stripe = stripe;
    }
    leave(done);
    if (!asked_.save_manifest.empty()) save_manifest(arrived && job_.interrupted == 0);
  }

  // Last: that it can't be written must not keep anything else from being done.
  void save_manifest(bool arrived) {
    std::function<void()> task;
    if (arrived) task = [this] { manifest_->finish(); };
    job_.run_task(task, "commit");
    if (job_.phases.failure()) job_.report_failure(*job_.phases.failure());
  }

  // Takes away what is not wanted: work for a thread that may block.
  void leave(bool stays = false) {
    std::function<void()> task;
    if (here_ && tree_) {
      task = [this, stays] { tree_->leave(stays); };
    } else if (here_ && folder_) {
      task = [this, stays] {
        writer_.reset();
        if (!stays) folder_->remove_made();
      };
    }
    job_.run_task(task, "commit");
  }

  StripeJob job_;
  const GatherOptions& asked_;
  bool here_;  // this rank is the one that collects
  file::StripeShelf shelf_;
  std::optional<FoundStripe> found_;
  Span span_;
  std::optional<file::Folder> folder_;
  std::unique_ptr<file::Writer> writer_;
  std::optional<GatheredTree> tree_;  // instead, where a folder was striped
  file::Unpacked unpacked_;
  Collected collected_;
  std::optional<SavedManifest> manifest_;
};

}  // namespace

Report gather(const Options& options, const GatherOptions& asked, mpi::Session& session,
              const Surroundings& surroundings) {
  if (asked.to >= session.size()) {
    return wrong_usage("gather",
                       fmt::format("rank {} is out of range: the ranks are 0 to {}", asked.to, session.size() - 1));
  }
  if (asked.concat) return concat(options, asked, session, surroundings);
  return Gather(options, asked, session, surroundings).run();
}

}  // namespace argosy::command
