// simulate: how long each route takes to bring a file to many nodes, under a simulated clock. The routes are the ones
// that argosy runs (src/core); the cluster is simulate/cluster.h's. doc/performance.md shows its tables.
#include <CLI/CLI.hpp>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <map>
#include <string>
#include <vector>

#include "core/node_route.h"
#include "core/predict.h"
#include "simulate/cluster.h"
#include "simulate/table.h"

namespace {

using argosy::core::RouteKind;
using argosy::simulate::Cluster;

struct Settings {
  std::vector<int> nodes = {2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096};
  std::vector<double> gbits_per_second = {10, 100, 400};
  std::vector<RouteKind> routes = {RouteKind::kChain, RouteKind::kTwoTree, RouteKind::kRing};
  std::int64_t bytes = 10'000'000'000;
  double alpha_microseconds = 50;
  std::int64_t chunk = 0;
  std::int64_t largest_chunk = 16 << 20;
  bool csv = false;
  Cluster cluster;
};

void declare(CLI::App& app, Settings& settings) {
  const std::map<std::string, RouteKind> routes = {
      {"chain", RouteKind::kChain}, {"two-tree", RouteKind::kTwoTree}, {"ring", RouteKind::kRing}};
  Cluster& cluster = settings.cluster;
  app.add_option("--ranks", settings.nodes, "numbers of nodes, a rank each (2,4,8,...,4096)")
      ->delimiter(',')
      ->check(CLI::Range(2, 1 << 20));
  app.add_option("--rate", settings.gbits_per_second, "of a card, each direction, Gbit/s (10,100,400)")
      ->delimiter(',')
      ->check(CLI::PositiveNumber);
  app.add_option("--route", settings.routes, "chain, two-tree, ring (all)")
      ->delimiter(',')
      ->transform(CLI::Transformer(routes));
  app.add_option("--bytes", settings.bytes, "size of the file (10G)")
      ->transform(CLI::AsSizeValue(true))
      ->check(CLI::PositiveNumber);
  app.add_option("--alpha", settings.alpha_microseconds, "latency of a message, microseconds (50)")
      ->check(CLI::NonNegativeNumber);
  app.add_option("--chunk", settings.chunk, "chunk size of every route (each route's best)")
      ->transform(CLI::AsSizeValue(true))
      ->check(CLI::PositiveNumber);
  app.add_option("--largest-chunk", settings.largest_chunk, "limit of the best chunk size (16Mi)")
      ->transform(CLI::AsSizeValue(true))
      ->check(CLI::PositiveNumber);
  app.add_option("--in-flight", cluster.in_flight, "messages of a card at once, each direction (1)")
      ->check(CLI::Range(1, 2));
  app.add_option("--slots", cluster.slots, "chunks in transit that a node holds, a lane (4)")
      ->check(CLI::Range(1, 1024));
  app.add_option("--racks", cluster.rack_nodes, "nodes of a rack (all on one switch)")->check(CLI::PositiveNumber);
  app.add_option("--oversubscription", cluster.oversubscription, "rates of a rack's cards over its uplink's (1)")
      ->check(CLI::PositiveNumber);
  app.add_option("--slow-node", cluster.slow_node, "a node whose card is slower (none)")->check(CLI::NonNegativeNumber);
  app.add_option("--slow-share", cluster.slow_share, "its card's share of the rate (0.5)")
      ->check(CLI::Range(0.001, 1.0));
  app.add_option("--jitter", cluster.jitter, "by what share messages take longer or shorter, at most (0)")
      ->check(CLI::Range(0.0, 1.0));
  app.add_flag("--csv", settings.csv, "for bench/plot");
}

argosy::simulate::Row run(const Settings& settings, int nodes, double gbits_per_second) {
  Cluster cluster = settings.cluster;
  cluster.nodes = nodes;
  cluster.alpha_seconds = settings.alpha_microseconds * 1e-6;
  cluster.bytes_per_second = gbits_per_second * 1e9 / 8;
  const argosy::core::Link link{cluster.alpha_seconds, 1 / cluster.bytes_per_second, cluster.in_flight};
  argosy::simulate::Row row;
  row.gbits_per_second = gbits_per_second;
  row.nodes = nodes;
  row.wire_seconds = static_cast<double>(settings.bytes) / cluster.bytes_per_second;
  row.choice = choose(nodes, settings.bytes, link, settings.largest_chunk, false).route;
  row.shared_choice = choose(nodes, settings.bytes, link, settings.largest_chunk, true).route;
  for (const RouteKind route : settings.routes) {
    argosy::simulate::Result& result = row.results.emplace_back();
    result.route = route;
    result.chunk =
        settings.chunk != 0 ? settings.chunk : best_chunk(route, nodes, settings.bytes, link, settings.largest_chunk);
    result.predicted_seconds = predicted_seconds(route, nodes, settings.bytes, result.chunk, link);
    result.bound_seconds = lower_bound_seconds(nodes, settings.bytes, result.chunk, link);
    result.outcome = simulate(*make_route(route, nodes, 0, true), cluster, settings.bytes, result.chunk);
  }
  return row;
}

int print_table(int argc, char** argv) {
  Settings settings;
  CLI::App app("simulate: how long each route takes to bring a file to many nodes, under a simulated clock");
  declare(app, settings);
  CLI11_PARSE(app, argc, argv);
  std::vector<argosy::simulate::Row> rows;
  for (const double rate : settings.gbits_per_second) {
    for (const int nodes : settings.nodes) rows.push_back(run(settings, nodes, rate));
  }
  std::fputs((settings.csv ? csv(rows) : markdown(rows)).c_str(), stdout);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return print_table(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "simulate: %s\n", error.what());
    return 1;
  }
}
