// What the report of a fetch has besides that of other commands: the ledger of its origins, and with `--stdout --json`
// what each answered. In a file of its own, as no other command needs it.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <utility>
#include <vector>

namespace argosy::command {

struct OriginReport {
  std::string host;  // "host:port"
  std::int64_t requests = 0;
  std::int64_t bytes = 0;  // of bodies
  std::int64_t retries = 0;
  std::int64_t throttled = 0;  // answers 429 and 503
};

// What became of one object.
struct Response {
  std::string url;
  int status = 0;                                           // of its last answer; 0: there was none
  std::vector<std::pair<std::string, std::string>> fields;  // of the answer's head
  double seconds = 0;                                       // of its requests, together
  std::int64_t bytes = 0;
  std::string digest;  // "xxh3:HEX"
  int rank = -1;       // that made the first request
  std::string error;   // empty where all is well
};

struct FetchReport {
  std::vector<OriginReport> origins;
  std::int64_t received = 0;   // bytes of bodies from all origins
  std::int64_t delivered = 0;  // bytes of the objects that they make
  std::int64_t in_place = 0;   // files that had not to be fetched
  std::int64_t resumed = 0;    // bytes that interrupted runs had fetched, and that were not fetched again
  bool to_output = false;      // bodies went to standard output
  bool with_responses = false;
  std::vector<Response> responses;

  // 1 where no byte was asked for twice or in vain.
  double ratio() const {
    return delivered > 0 ? static_cast<double>(received) / static_cast<double>(delivered) : received > 0 ? 0 : 1;
  }
};

// As members of the report's document. The inverse throws nlohmann::json::exception on a malformed one.
void put_fetch(nlohmann::json& document, const FetchReport& fetch);
FetchReport get_fetch(const nlohmann::json& document);

}  // namespace argosy::command
