// What the report says of a stripe (doc/report.md).
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace argosy::command {

// The acknowledgements of one worker, of all files.
struct ReceiptReport {
  int worker = 0;
  std::string host;
  std::int64_t acknowledged = 0;  // chunks
  std::int64_t failed = 0;
  int error_number = 0;  // why it takes no more; 0: it takes all
};

// What is there of one share.
struct ShareReport {
  int share = 0;
  int rank = -1;  // who has it; -1: nobody
  std::string host;
  std::int64_t chunks = 0;
  std::int64_t damaged = 0;
  std::int64_t missing = 0;
};

struct StripeReport {
  std::string generation;
  std::string layout;
  std::int64_t chunk_size = 0;
  std::int64_t chunks = 0;  // of the file, without parity
  int workers = 0;
  int parity = 0;
  int losses = -1;                      // shares that may (still) be lost; -1: the file can't be had
  std::int64_t moved = 0;               // chunks that are not where the rule deals them
  std::int64_t rebuilt = 0;             // chunks that were made from others
  std::int64_t damaged = 0;             // chunks that were found damaged or could not be read
  std::vector<ReceiptReport> receipts;  // scatter
  std::vector<ShareReport> shares;      // verify and repair
};

nlohmann::json to_json(const StripeReport& report);
// Throws std::exception on a malformed document.
StripeReport stripe_report_from_json(const nlohmann::json& document);

}  // namespace argosy::command
