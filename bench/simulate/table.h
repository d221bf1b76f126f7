// What simulate prints: one line a number of nodes and rate, each route beside the others, as Markdown or as CSV.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/predict.h"
#include "simulate/cluster.h"

namespace argosy::simulate {

// One route's run.
struct Result {
  core::RouteKind route = core::RouteKind::kChain;
  std::int64_t chunk = 0;
  double predicted_seconds = 0;
  double bound_seconds = 0;  // at this chunk
  Outcome outcome;
};

struct Row {
  double gbits_per_second = 0;
  int nodes = 0;
  double wire_seconds = 0;  // beta m
  std::vector<Result> results;
  core::RouteKind choice = core::RouteKind::kChain;         // auto's
  core::RouteKind shared_choice = core::RouteKind::kChain;  // with --source shared
};

// A table for each rate. All rows have the same routes.
std::string markdown(const std::vector<Row>& rows);

// A line for each result, for bench/plot.
std::string csv(const std::vector<Row>& rows);

}  // namespace argosy::simulate
