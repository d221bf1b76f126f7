// The report of a job: what rank 0 knows at its end, and its JSON form (doc/report.md). It is printed after failures
// too.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/failures.h"
#include "command/fetch_report.h"
#include "command/stripe_report.h"

namespace argosy::command {

// Phase times in seconds. `start` is from the launch (the supervisor's, where there is one) to the first phase.
struct PhaseSeconds {
  double start = 0;
  double scan = 0;
  double transfer = 0;
  double commit = 0;
  double total = 0;
};

// How busy one rank's card was with handing chunks to another rank.
struct LinkReport {
  int to = 0;
  double busy = 0;     // seconds with a message under way
  double fastest = 0;  // bytes a second, over the fastest twelve chunks in a row; 0: there were fewer
};

struct RankReport {
  int rank = 0;
  std::string host;
  std::int64_t bytes_read = 0;     // from sources on this rank
  std::int64_t bytes_written = 0;  // to destinations on this rank, verified
  std::int64_t peak_rss = 0;       // bytes
  // Seconds of the transfer in which this rank waited: had nothing to do because no data came; wrote; hashed. Writing
  // and hashing go on at the same time on several threads.
  double network_wait = 0;
  double disk = 0;
  double hash = 0;
  double source = 0;  // read
  std::vector<LinkReport> links;
};

// What a route was predicted to take.
struct RouteReport {
  std::string route;
  std::int64_t chunk_size = 0;
  double seconds = 0;
};

struct Report {
  std::string command;  // "send"
  int exit = 0;
  std::int64_t files = 0;        // in place and verified, those that were there already included
  std::int64_t folders = 0;      // made, or there
  std::int64_t bytes = 0;        // of these files
  std::int64_t bytes_moved = 0;  // read from a source and delivered, once, however many destinations
  std::string digest;            // "xxh3:HEX" of a single file, else empty
  std::string name;              // of a single file: its name at the destination (raw bytes), else empty
  PhaseSeconds seconds;
  std::vector<RankReport> ranks;
  // Commands that choose a route: the one they chose, the predictions behind it, and what limited the transfer, such as
  // "network into h5 (97 % busy)".
  std::string route;
  std::int64_t chunk_size = 0;
  std::vector<RouteReport> predicted;
  double lower_bound = 0;
  bool explained = false;  // --explain: nothing was to be moved
  bool dry_run = false;    // --dry-run: neither, and so many names have been listed that would be
  std::int64_t would_change = 0;
  std::int64_t differences = 0;  // `verify`
  // What was to be compared with is damaged: whatever has been found, that is how the job ends. Rank 0's.
  bool unfounded = false;
  std::string limited_by;
  std::optional<StripeReport> stripe;  // commands that work on stripes
  std::optional<FetchReport> fetch;    // of `fetch` alone
  std::vector<base::Failure> errors;   // at most kErrorsKept
  std::int64_t errors_total = 0;       // all of them, those not kept included
  // What is in order and yet not what was expected; it has no part in the exit code. At most kErrorsKept.
  std::vector<base::Failure> warnings;
};

inline constexpr std::size_t kErrorsKept = base::kFailuresKept;

// The highest resident size of this process so far, in bytes.
std::int64_t peak_rss();

nlohmann::json to_json(const Report& report);
// The inverse, for the supervisor, which gets the report as JSON. Throws base::Error (kSystem) on a malformed document.
Report report_from_json(const nlohmann::json& document);

// Where things stand, as rank 0 tells it a few times a second.
struct Progress {
  std::string phase;              // "scan", "transfer", "commit"
  std::int64_t bytes = 0;         // delivered and verified so far
  std::int64_t bytes_total = -1;  // -1: unknown (standard input)
  std::int64_t files = 0;
  std::int64_t files_total = -1;
};

// How a command talks to whoever watches it. Implemented by cli/ (terminal or supervisor channel) and by tests.
// Called on rank 0's main thread only; implementations do not block.
class Observer {
 public:
  virtual ~Observer() = default;
  virtual void started() = 0;  // every rank is up
  virtual void progress(const Progress& progress) = 0;
  // The job can't go on: shows `line` (without "argosy: "), and the job ends with `exit`. Blocks for two seconds at
  // most.
  virtual void fatal(int exit, const std::string& line) = 0;
  // Text for standard output, ahead of the report: whole lines, or with --json its document's beginning (Lines).
  virtual void output(const std::string& /*text*/) {}
  // True once the user asked to stop (Ctrl-C at the supervisor); stays true.
  virtual bool interrupted() = 0;
};

}  // namespace argosy::command
