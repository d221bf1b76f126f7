#include "command/digest.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/digest.h"
#include "base/interrupt.h"
#include "command/dealt.h"
#include "command/lines.h"
#include "command/phases.h"
#include "command/place.h"
#include "file/digest_file.h"
#include "file/listing.h"

namespace argosy::command {

namespace {

using base::Kind;
using engine::Bytes;

// A task has so many files, or so many bytes of small ones; of a large file a task is a part where parts add up.
constexpr std::size_t kFilesATask = 64;
constexpr std::int64_t kBytesATask = 8 << 20;
constexpr std::int64_t kPart = 64 << 20;
static_assert(kPart % base::kLeafSize == 0);
constexpr std::size_t kLongestPath = 256 * 1024;

// How each part of a result begins.
constexpr std::uint8_t kFailed = 0;
constexpr std::uint8_t kDigested = 1;
constexpr std::uint8_t kLeftOut = 2;

// One file, or a part of one.
struct Piece {
  std::string path;   // to open it by
  std::string shown;  // as the user named it
  std::int64_t offset = 0;
  std::int64_t length = 0;
  std::int64_t size = 0;
};

void put(base::Writer& writer, const Piece& piece) {
  writer.put_string(piece.path);
  writer.put_string(piece.shown);
  writer.put(piece.offset);
  writer.put(piece.length);
  writer.put(piece.size);
}

Piece get(base::Reader& reader) {
  Piece piece;
  piece.path = reader.get_string(kLongestPath);
  piece.shown = reader.get_string(kLongestPath);
  piece.offset = reader.get<std::int64_t>();
  piece.length = reader.get<std::int64_t>();
  piece.size = reader.get<std::int64_t>();
  return piece;
}

// Rank 0's walk over what was named, cut into tasks.
class Finder {
 public:
  Finder(const DigestOptions& asked, std::string start, bool sha256)
      : asked_(asked), start_(std::move(start)), sha256_(sha256) {}

  // On an I/O thread.
  std::optional<Bytes> next() {
    std::vector<Piece> pieces;
    std::vector<base::Failure> failures;
    std::int64_t bytes = 0;
    std::size_t size = 0;
    while (pieces.size() < kFilesATask && bytes < kBytesATask && size < engine::kDealBytes / 4 && failures.empty()) {
      if (!waiting_ && !find(failures)) break;
      if (!waiting_) continue;
      Piece piece = *waiting_;
      // Parts of an XXH3 digest add up; SHA-256 is one long chain.
      if (!sha256_) piece.length = std::min(kPart, piece.size - piece.offset);
      if (!pieces.empty() && bytes + piece.length > kBytesATask) break;
      waiting_->offset += piece.length;
      bytes += piece.length;
      size += piece.path.size() + piece.shown.size() + 64;
      if (waiting_->offset >= waiting_->size) waiting_.reset();
      pieces.push_back(std::move(piece));
    }
    if (pieces.empty() && failures.empty()) return std::nullopt;
    Bytes task;
    base::Writer writer(task);
    writer.put(static_cast<std::uint8_t>(sha256_ ? 1 : 0));
    writer.put(static_cast<std::uint32_t>(failures.size()));
    for (const base::Failure& failure : failures) put_failure(writer, failure);
    writer.put(static_cast<std::uint32_t>(pieces.size()));
    for (const Piece& piece : pieces) put(writer, piece);
    return task;
  }

 private:
  // Looks for the next file into waiting_; false when there is none any more.
  bool find(std::vector<base::Failure>& failures) {
    if (listing_) {
      auto item = listing_->next();
      if (!item) {
        listing_.reset();
        return true;
      }
      if (item->failure) {
        failures.push_back(*item->failure);
      } else if (S_ISREG(item->status.st_mode)) {
        std::string shown = shown_;
        if (!shown.ends_with('/')) shown += '/';
        waiting_ =
            Piece{listing_->shown(item->path), shown + item->path, 0, item->status.st_size, item->status.st_size};
      }
      return true;
    }
    if (named_ == asked_.paths.size()) return false;
    shown_ = asked_.paths[named_++];
    const std::string path = absolute(start_, shown_);
    struct stat status = {};
    try {
      if (stat(path.c_str(), &status) != 0) {
        throw base::system_error(Kind::kSource, shown_, errno, "can't be read");
      }
      if (S_ISDIR(status.st_mode)) {
        listing_ = std::make_unique<file::Listing>(path);
      } else if (S_ISREG(status.st_mode)) {
        waiting_ = Piece{path, shown_, 0, status.st_size, status.st_size};
      } else {
        throw base::Error(Kind::kSource, shown_, EINVAL, "is neither a file nor a folder");
      }
    } catch (const base::Error& error) {
      failures.push_back(error.failure());
    }
    return true;
  }

  const DigestOptions& asked_;
  std::string start_;
  bool sha256_;
  std::size_t named_ = 0;
  std::string shown_;
  std::unique_ptr<file::Listing> listing_;
  std::optional<Piece> waiting_;
};

// Any rank: the digests of a task's files, each with the piece it belongs to.
Bytes work_on(const Bytes& task, const std::function<base::Failure(base::Failure)>& sign) {
  base::Reader reader(task);
  const bool sha256 = reader.get<std::uint8_t>() != 0;
  std::vector<base::Failure> failures(reader.get<std::uint32_t>());
  for (base::Failure& failure : failures) failure = get_failure(reader);
  Bytes result;
  base::Writer writer(result);
  for (const base::Failure& failure : failures) {
    writer.put(kFailed);
    put_failure(writer, failure);
  }
  const auto left_out = [&](const Piece& piece) {
    writer.put(kLeftOut);
    writer.put_string(piece.shown);
  };
  const auto count = reader.get<std::uint32_t>();
  for (std::uint32_t i = 0; i < count; ++i) {
    const Piece piece = get(reader);
    if (base::interrupted() != 0) {
      left_out(piece);
      continue;
    }
    try {
      const file::OpenedForDigest file(piece.path, piece.shown, piece.size);
      std::string sha;
      base::Digest sum;
      std::int64_t length = piece.length;
      if (sha256) {
        sha = file.sha256();
      } else if (piece.size == 0) {
        // The kernel's own files tell no size.
        sum = file.sum_to_end(length);
      } else {
        sum = file.sum(piece.offset, length);
      }
      writer.put(kDigested);
      writer.put_string(piece.shown);
      writer.put(piece.offset);
      writer.put(length);
      writer.put(std::max(piece.size, length));
      writer.put_string(sha);
      writer.put(sum.low);
      writer.put(sum.high);
    } catch (const base::Error& error) {
      if (error.failure().error_number == EINTR && base::interrupted() != 0) {
        left_out(piece);
        continue;
      }
      writer.put(kFailed);
      put_failure(writer, sign(error.failure()));
    }
  }
  return result;
}

// Rank 0: puts results together and prints them.
class Printer {
 public:
  Printer(Lines& lines, Report& report, base::Failures& failures)
      : lines_(lines), report_(report), failures_(failures) {}

  void take(const Bytes& result) {
    base::Reader reader(result);
    while (reader.ok() && reader.left() > 0) {
      const auto came = reader.get<std::uint8_t>();
      if (came == kLeftOut) {
        // Parts of it that other ranks have done make no digest.
        broken_ = reader.get_string(kLongestPath);
        continue;
      }
      if (came == kFailed) {
        base::Failure failure = get_failure(reader);
        // Of a file in parts the first failure is told.
        if (failure.path == broken_ && !broken_.empty()) continue;
        broken_ = failure.path;
        failures_.add(std::move(failure));
        continue;
      }
      const std::string shown = reader.get_string(kLongestPath);
      const auto offset = reader.get<std::int64_t>();
      const auto length = reader.get<std::int64_t>();
      const auto size = reader.get<std::int64_t>();
      const std::string sha = reader.get_string(128);
      base::Digest sum;
      sum.low = reader.get<std::uint64_t>();
      sum.high = reader.get<std::uint64_t>();
      if (offset == 0) {
        sum_ = {};
        broken_.clear();
      }
      sum_ += sum;
      if (offset + length < size || shown == broken_) continue;
      ++report_.files;
      report_.bytes += size;
      const std::string text = sha.empty() ? base::to_string(base::close_digest(sum_, size)) : sha;
      lines_.add(digest_line(text, shown));
    }
  }

 private:
  Lines& lines_;
  Report& report_;
  base::Failures& failures_;
  base::Digest sum_;
  std::string broken_;
};

}  // namespace

std::string digest_line(const std::string& digest, const std::string& path) {
  const bool escaped = path.find_first_of("\\\n\r") != std::string::npos;
  if (!escaped) return digest + "  " + path;
  std::string line = "\\" + digest + "  ";
  for (const char c : path) {
    if (c == '\\') {
      line += "\\\\";
    } else if (c == '\n') {
      line += "\\n";
    } else if (c == '\r') {
      line += "\\r";
    } else {
      line += c;
    }
  }
  return line;
}

Report digest(const Options& options, const DigestOptions& asked, mpi::Session& session,
              const Surroundings& surroundings) {
  Report report;
  report.command = "digest";
  Phases phases(session, options.common, surroundings.observer);
  if (surroundings.observer != nullptr) surroundings.observer->started();
  const auto begun = std::chrono::steady_clock::now();
  Lines lines(surroundings.observer, options.common.json, false, "lines", "text");
  base::Failures failures;
  Finder finder(asked, options.start_directory, asked.sha256);
  Printer printer(lines, report, failures);
  engine::Deal::Work work;
  work.next = [&] { return finder.next(); };
  work.work = [&](const Bytes& task) {
    const engine::Timed timed(phases.workers().meter(), engine::Work::kHash);
    return work_on(task, [&](base::Failure failure) { return phases.signed_here({std::move(failure)}).front(); });
  };
  work.result = [&](const Bytes& result) { printer.take(result); };
  const mpi::Verdict all = run_dealt(phases, "digest", std::move(work));
  lines.flush();
  Report whole = finish_dealt(phases, std::move(report), failures, all.interrupted);
  whole.seconds.total = std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
  return whole;
}

}  // namespace argosy::command
