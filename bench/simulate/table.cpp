#include "simulate/table.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

namespace argosy::simulate {

namespace {

std::string shown_chunk(std::int64_t bytes) {
  if (bytes < 1 << 20) return fmt::format("{} KiB", bytes >> 10);
  return fmt::format("{:g} MiB", static_cast<double>(bytes) / (1 << 20));
}

// The route that auto takes and its time, where it was among those simulated.
std::string shown_choice(const Row& row, core::RouteKind choice) {
  const auto result = std::find_if(row.results.begin(), row.results.end(),
                                   [choice](const Result& candidate) { return candidate.route == choice; });
  if (result == row.results.end()) return fmt::format(" {} | |", core::name_of(choice));
  return fmt::format(" {} | {:.3f} |", core::name_of(choice), result->outcome.seconds / row.wire_seconds);
}

std::string heading(const Row& row) {
  std::string line =
      fmt::format("\n**{:g} Gbit/s** (βm = {:.3f} s)\n\n| nodes |", row.gbits_per_second, row.wire_seconds);
  std::string rule = "|---:|";
  for (const Result& result : row.results) {
    line += fmt::format(" {}: chunk | / bound | / βm | slots |", core::name_of(result.route));
    rule += "---:|---:|---:|---:|";
  }
  return line + " auto | / βm | auto, shared source | / βm |\n" + rule + "---|---:|---|---:|\n";
}

}  // namespace

std::string markdown(const std::vector<Row>& rows) {
  std::string text;
  const auto add = std::back_inserter(text);
  double rate = 0;
  for (const Row& row : rows) {
    if (row.gbits_per_second != rate) text += heading(row);
    rate = row.gbits_per_second;
    fmt::format_to(add, "| {} |", row.nodes);
    for (const auto& [route, chunk, predicted, bound, outcome] : row.results) {
      fmt::format_to(add, " {} | {:.3f} | {:.3f} | {} |", shown_chunk(chunk), outcome.seconds / bound,
                     outcome.seconds / row.wire_seconds, outcome.peak_slots);
    }
    text += shown_choice(row, row.choice) + shown_choice(row, row.shared_choice) + "\n";
  }
  return text;
}

std::string csv(const std::vector<Row>& rows) {
  std::string text =
      "gbits_per_second,nodes,route,chunk_bytes,bound_seconds,predicted_seconds,seconds,over_bound,over_wire,"
      "peak_slots,messages,auto,auto_shared\n";
  for (const Row& row : rows) {
    for (const auto& [route, chunk, predicted, bound, outcome] : row.results) {
      fmt::format_to(std::back_inserter(text), "{:g},{},{},{},{:.6f},{:.6f},{:.6f},{:.4f},{:.4f},{},{},{:d},{:d}\n",
                     row.gbits_per_second, row.nodes, core::name_of(route), chunk, bound, predicted, outcome.seconds,
                     outcome.seconds / bound, outcome.seconds / row.wire_seconds, outcome.peak_slots, outcome.messages,
                     route == row.choice, route == row.shared_choice);
    }
  }
  return text;
}

}  // namespace argosy::simulate
