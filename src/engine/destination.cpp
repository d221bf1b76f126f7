#include "engine/destination.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "base/activity.h"
#include "core/packed.h"

namespace argosy::engine {

namespace {

// The next page is taken only while fewer files than these are unfinished: what bounds the manifest that is held. Where
// several origins take turns they must be enough for two rounds of chunks full of small files: a round without a chunk
// for every origin would wait for a page that waits for the round.
std::size_t most_unfinished_files(int origins) {
  return std::max(4 * core::kEntriesAPage, 2 * static_cast<std::size_t>(origins) * core::kExtentsAChunk);
}

base::Failure integrity(const std::string& path, std::string message) {
  return {base::Kind::kIntegrity, path, -1, {}, 0, std::move(message)};
}

}  // namespace

Destination::Destination(int origins, Workers& workers, Relay& relay, Control& control, core::Sink& sink)
    : most_unfinished_(most_unfinished_files(origins)),
      workers_(workers),
      relay_(relay),
      control_(control),
      sink_(sink) {}

bool Destination::has_room() const { return !examining_ && files_.size() < most_unfinished_; }

bool Destination::step() {
  if (done_) return false;
  if (last_ && !stream_ended_ && relay_.has_all()) take_last();
  receipt_.last = stream_ended_ && tasks_ == 0 && files_.empty();
  if (receipt_.empty()) return false;
  done_ = receipt_.last;
  control_.add(std::exchange(receipt_, {}));
  return true;
}

void Destination::page_arrived(core::Page page) {
  entries_ += page.entries.size();
  if (page.last) return;
  ++tasks_;
  unexamined_.push_back(std::move(page));
  examine_next();
}

// One after another: what a page names may lie in a folder that the page before has made.
void Destination::examine_next() {
  if (examining_ || unexamined_.empty()) return;
  examining_ = true;
  struct Task {
    core::Page page;
    core::Examination found;
    std::optional<base::Failure> failure;
  };
  auto task = std::make_shared<Task>();
  task->page = std::move(unexamined_.front());
  unexamined_.pop_front();
  workers_.post(
      [this, task] {
        try {
          if (const auto wrong = manifest_.take(task->page))
            throw base::Error(base::Kind::kIntegrity, wrong->path, 0, "is refused: " + wrong->why);
          task->found = sink_.inspect(task->page);
        } catch (const base::Error& error) {
          task->failure = error.failure();
        }
      },
      [this, task] {
        --tasks_;
        examining_ = false;
        // What no honest peer says is no matter of this destination alone.
        if (task->failure && task->failure->kind == base::Kind::kIntegrity) throw base::Error(*task->failure);
        if (task->failure) {
          // The destination as a whole can't be used: no entry of the page is wanted.
          failures_.add(*task->failure);
          task->found = {};
          task->found.wanted.assign(task->page.entries.size(), false);
          for (core::Entry& entry : task->page.entries) entry.size = core::kMissing;
        }
        examined(task->page, std::move(task->found));
        examine_next();
      });
}

void Destination::examined(core::Page& page, core::Examination examination) {
  std::vector<bool> failed(page.entries.size(), false);
  for (const std::uint32_t i : examination.failed) {
    failed[i] = true;
    receipt_.failed.push_back(page.first + i);
  }
  failures_.add(std::move(examination.failures));
  for (std::size_t i = 0; i < page.entries.size(); ++i) {
    core::Entry& entry = page.entries[i];
    if (examination.wanted[i]) {
      if (examination.only_asked) continue;
      File& file = files_[page.first + i];
      file.path = std::move(entry.path);
      file.size = entry.size;
      file.open_ended = entry.open_ended;
    } else if (entry.readable() && !failed[i]) {
      ++counts_.files_in_place;
      counts_.bytes_in_place += entry.size;
      counts_.name = entry.path;
    }
  }
  for (const core::Held& held : examination.held) files_[page.first + held.entry].held = held.ranges();
  counts_.links_and_specials += examination.links_and_specials;
  counts_.folders += examination.folders;
  receipt_.files += examination.links_and_specials;
  if (stream_ended_) end_stream();  // it was given up meanwhile: these will get no data
  control_.answer({page.number, std::move(examination.wanted), std::move(examination.held)});
}

void Destination::arrived(Arrival arrival) {
  if (given_up_) return;
  if (!arrival.view) return give_up(arrival.why);
  const core::ChunkView& view = *arrival.view;
  refuse(view);
  ++receipt_.chunks;
  stream_bytes_ += view.head.payload;
  const core::Head head = view.head;
  auto jobs = std::make_shared<std::vector<Job>>(prepare(view, arrival.own));
  if (!jobs->empty()) {
    ++tasks_;
    // The message goes with `done`: its slot is given back on the main thread.
    workers_.post(
        [this, jobs] {
          for (Job& job : *jobs) work(job);
        },
        [this, jobs, message = std::move(arrival.message)] {
          --tasks_;
          worked(*jobs);
        });
  }
  if (head.last) last_ = head;
}

// Throws where it says what no honest peer says.
void Destination::refuse(const core::ChunkView& view) {
  const auto require = [](bool possible, const std::string& path, const char* what) {
    if (!possible) throw base::Error(integrity(path, std::string("a chunk is refused: it carries ") + what));
  };
  for (const core::Record& record : view.records) {
    const auto found = files_.find(record.entry);
    require(record.entry < entries_, {}, "a file that no manifest page names");
    if (found == files_.end()) continue;
    File& file = found->second;
    if (record.kind == core::Record::Kind::kEnd) continue;
    const std::int64_t size = file.open_ended ? INT64_MAX : file.size;
    require(record.offset + record.length <= size, file.path, "more of a file than its size");
    require(record.length == 0 || file.seen.add({record.offset, record.offset + record.length}), file.path,
            "a part of a file again");
  }
}

std::vector<Destination::Job> Destination::prepare(const core::ChunkView& view, bool own) {
  std::vector<Job> jobs;
  jobs.reserve(view.records.size() / 2 + 1);
  std::span<const std::byte> rest = view.payload;
  std::vector<std::uint64_t> ended;
  for (std::size_t i = 0; i < view.records.size(); ++i) {
    const core::Record& record = view.records[i];
    std::span<const std::byte> data;
    data = rest.first(static_cast<std::size_t>(record.payload()));
    rest = rest.subspan(data.size());
    const auto found = files_.find(record.entry);
    if (found == files_.end()) continue;  // not wanted here, or it has failed here already
    File& file = found->second;
    if (record.kind == core::Record::Kind::kEnd) {
      file.end = record;
      ended.push_back(record.entry);
      continue;
    }
    if (file.failed) continue;
    ++file.writing;
    Job job;
    job.record = record;
    job.data = data;
    job.path = &file.path;
    job.told = file.open_ended ? -1 : file.size;
    job.verified = own || record.kind == core::Record::Kind::kHole;
    job.held = record.length > 0 && file.held.covers({record.offset, record.offset + record.length});
    // A small file's only data and its end stand side by side: one visit to the disk does it all.
    const bool has_next = i + 1 < view.records.size();
    if (has_next && file.written == 0 && file.writing == 1) {
      const core::Record& next = view.records[i + 1];
      const bool same = next.kind == core::Record::Kind::kEnd && next.entry == record.entry;
      if (same && next.failure == base::Kind::kNone && next.length == record.length && next.offset == 0 &&
          (file.open_ended || next.length == file.size)) {
        job.end = next;
      }
    }
    jobs.push_back(std::move(job));
  }
  for (const std::uint64_t entry : ended) settle(entry);
  return jobs;
}

base::Failure Destination::damaged(const Job& job) {
  return integrity(*job.path, fmt::format("bytes {} to {} were damaged on their way", job.record.offset,
                                          job.record.offset + job.record.length));
}

void Destination::work(Job& job) noexcept {
  try {
    std::optional<std::vector<std::byte>> unpacked;
    if (job.record.kind == core::Record::Kind::kPacked) {
      unpacked = core::unpack(job.data, static_cast<std::size_t>(job.record.length));
      if (!unpacked) {
        job.failure = damaged(job);
        return;
      }
      job.data = *unpacked;
    }
    const base::Digest digest =
        job.verified ? job.record.digest : timed_digest(workers_.meter(), job.data, job.record.offset);
    if (digest != job.record.digest) {
      job.failure = damaged(job);
      return;
    }
    const bool whole = job.end.has_value();
    if (whole && base::close_digest(digest, job.record.length) != job.end->digest) {
      job.failure = integrity(*job.path, "the digest differs from the source's");
      return;
    }
    const Timed writing(workers_.meter(), Work::kDisk);
    const core::Range range{job.record.offset, job.record.offset + job.record.length};
    if (whole && !job.held && job.record.kind != core::Record::Kind::kHole) {
      job.written = true;
      sink_.put(job.record.entry, job.data, job.end->digest);
      base::note_activity();
      return;
    }
    job.written = !job.held || sink_.held(job.record.entry, range) != digest;
    if (job.written && job.record.kind == core::Record::Kind::kHole) {
      sink_.hole(job.record.entry, range.begin, job.record.length);
    } else if (job.written) {
      sink_.write(job.record.entry, range.begin, job.data);
    }
    base::note_activity();
    // What is a part of its file may be all that is left of a run.
    if (job.written && job.told >= 0 && job.record.length < job.told) sink_.written(job.record.entry, range, digest);
    if (whole) sink_.commit(job.record.entry, job.end->length, job.end->digest);
  } catch (const base::Error& error) {
    job.failure = error.failure();
  }
}

void Destination::worked(const std::vector<Job>& jobs) {
  for (const Job& job : jobs) {
    const auto found = files_.find(job.record.entry);
    File& file = found->second;
    --file.writing;
    if (job.failure) {
      fail(job.record.entry, file, job.failure);
    } else {
      file.written += job.record.length;
      file.sum += job.record.digest;
      if (job.written) counts_.bytes_written += job.record.data();
      receipt_.bytes += job.record.data();
      if (job.end) {
        committed(job.record.entry, file.path, job.end->length, job.end->digest, std::nullopt);
        files_.erase(found);
        continue;
      }
    }
    settle(job.record.entry);
  }
}

void Destination::fail(std::uint64_t index, File& file, std::optional<base::Failure> failure) {
  if (file.failed) return;
  file.failed = true;
  if (!failure) return;
  failures_.add(std::move(*failure));
  receipt_.failed.push_back(index);
}

void Destination::settle(std::uint64_t index) {
  const auto found = files_.find(index);
  if (found == files_.end()) return;
  File& file = found->second;
  // An origin gives up for a destination's sake where all of them have failed, or the job is to stop.
  if (!file.failed && file.end && file.end->failure == base::Kind::kDestination) file.cut_short = true;
  // The origin has told of its own failure.
  if (file.end && file.end->failure != base::Kind::kNone) fail(index, file, std::nullopt);
  if (file.writing > 0) return;
  if (!file.failed && file.end && file.written < file.end->length - file.end->offset && !stream_ended_) return;
  if (!file.failed && !file.end && !stream_ended_) return;
  if (!file.failed && file.end) return commit(index, std::move(files_.extract(found).mapped()));
  if (!file.failed) {
    file.cut_short = stopped_;
    fail(index, file,
         stopped_ ? std::nullopt : std::optional(integrity(file.path, "the stream ended before the file did")));
  }
  const bool cut_short = file.cut_short;
  files_.erase(found);
  ++tasks_;
  workers_.post([this, index, cut_short] { cut_short ? sink_.leave(index) : sink_.discard(index); },
                [this] { --tasks_; });
}

// Of all of a file: what has come, and what was held and has not come.
base::Digest Destination::whole_digest(std::uint64_t index, const File& file) {
  const core::Record& end = *file.end;
  const std::int64_t told = file.open_ended ? end.length : file.size;
  const std::int64_t expected = end.length - end.offset;
  if (file.written != expected || end.length != told) {
    throw base::Error(
        integrity(file.path, fmt::format("{} bytes arrived, {} were announced", file.written + end.offset, told)));
  }
  base::Digest sum = file.sum;
  for (const core::Range& range : file.seen.missing(file.size)) {
    if (!file.held.covers(range)) throw base::Error(integrity(file.path, "a part of it never arrived"));
    sum += sink_.held(index, range);
  }
  if (base::close_digest(sum, end.length) != end.digest) {
    throw base::Error(integrity(file.path, "the digest differs from the source's"));
  }
  return end.digest;
}

void Destination::commit(std::uint64_t index, File file) {
  ++tasks_;
  auto shared = std::make_shared<File>(std::move(file));
  auto failure = std::make_shared<std::optional<base::Failure>>();
  auto digest = std::make_shared<base::Digest>();
  workers_.post(
      [this, index, shared, failure, digest] {
        try {
          *digest = whole_digest(index, *shared);
          const Timed writing(workers_.meter(), Work::kDisk);
          sink_.commit(index, shared->end->length, *digest);
        } catch (const base::Error& error) {
          *failure = error.failure();
          sink_.discard(index);
        }
      },
      [this, index, shared, failure, digest] {
        --tasks_;
        committed(index, shared->path, shared->end->length, *digest, *failure);
      });
}

void Destination::committed(std::uint64_t index, const std::string& path, std::int64_t length,
                            const base::Digest& digest, std::optional<base::Failure> failure) {
  base::note_activity();
  if (failure) {
    failures_.add(std::move(*failure));
    receipt_.failed.push_back(index);
    return;
  }
  ++receipt_.files;
  ++counts_.files_committed;
  counts_.bytes_committed += length;
  counts_.digest = digest;
  counts_.name = path;
}

void Destination::take_last() {
  const core::Head head = *last_;
  if (!stopped_ && (head.stream_bytes != stream_bytes_ || head.stream_entries != entries_)) {
    return give_up(fmt::format("{} bytes of {} files arrived, {} of {} were sent", stream_bytes_, entries_,
                               head.stream_bytes, head.stream_entries));
  }
  end_stream();
}

void Destination::give_up(std::string why) {
  if (given_up_) return;
  given_up_ = true;
  failures_.add(integrity({}, std::move(why)));
  receipt_.stopped = 1;
  for (auto& [index, file] : files_) file.failed = true;
  end_stream();
}

void Destination::end_stream() {
  stream_ended_ = true;
  std::vector<std::uint64_t> unfinished;
  for (const auto& [index, file] : files_) unfinished.push_back(index);
  for (const std::uint64_t index : unfinished) settle(index);
}

}  // namespace argosy::engine
