// The report of a job: what rank 0 knows at its end, and its JSON form (doc/report.md). It is printed after failures too.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "base/error.h"

namespace argosy::command {

// Phase times in seconds. `start` is from the launch (the supervisor's, where there is one) to the first phase.
struct PhaseSeconds {
  double start = 0;
  double scan = 0;
  double transfer = 0;
  double commit = 0;
  double total = 0;
};

struct RankReport {
  int rank = 0;
  std::string host;
  std::int64_t bytes_read = 0;     // from sources on this rank
  std::int64_t bytes_written = 0;  // to destinations on this rank, verified
  std::int64_t peak_rss = 0;       // bytes
};

struct Report {
  std::string command;      // "send"
  int exit = 0;
  std::int64_t files = 0;        // in place and verified, those that were there already included
  std::int64_t bytes = 0;        // of these files
  std::int64_t bytes_moved = 0;  // read from a source and delivered, once, however many destinations
  std::string digest;            // "xxh3:HEX" of a single file, else empty
  std::string name;              // of a single file: its name at the destination (raw bytes), else empty
  PhaseSeconds seconds;
  std::vector<RankReport> ranks;
  std::vector<base::Failure> errors;  // at most kErrorsKept
  std::int64_t errors_total = 0;      // all of them, those not kept included
};

inline constexpr std::size_t kErrorsKept = 1000;

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
  // True once the user asked to stop (Ctrl-C at the supervisor); stays true.
  virtual bool interrupted() = 0;
};

}  // namespace argosy::command
