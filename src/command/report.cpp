#include "command/report.h"

#include <array>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string_view>

#include "command/json_bytes.h"

namespace argosy::command {

namespace {

base::Kind kind_from_name(std::string_view name) {
  using base::Kind;
  for (const Kind kind :
       {Kind::kUsage, Kind::kSource, Kind::kDestination, Kind::kIntegrity, Kind::kSystem, Kind::kOrigin}) {
    if (base::kind_name(kind) == name) return kind;
  }
  return Kind::kNone;
}

nlohmann::json failure_to_json(const base::Failure& failure) {
  nlohmann::json object = {{"kind", base::kind_name(failure.kind)},
                           {"rank", failure.rank},
                           {"host", base::utf8_or_replacement(failure.host)},
                           {"errno", failure.error_number},
                           {"message", base::utf8_or_replacement(failure.message)}};
  put_bytes(object, "path", failure.path);
  return object;
}

base::Failure failure_from_json(const nlohmann::json& object) {
  base::Failure failure;
  failure.kind = kind_from_name(object.at("kind").get_ref<const std::string&>());
  failure.path = get_bytes(object, "path");
  failure.rank = object.at("rank");
  failure.host = object.at("host");
  failure.error_number = object.at("errno");
  failure.message = object.at("message");
  return failure;
}

nlohmann::json rank_to_json(const RankReport& rank) {
  nlohmann::json links = nlohmann::json::array();
  for (const LinkReport& link : rank.links)
    links.push_back({{"to", link.to}, {"busy", link.busy}, {"fastest", link.fastest}});
  return {
      {"rank", rank.rank},
      {"host", base::utf8_or_replacement(rank.host)},
      {"bytes_read", rank.bytes_read},
      {"bytes_written", rank.bytes_written},
      {"peak_rss", rank.peak_rss},
      {"waiting", {{"network", rank.network_wait}, {"disk", rank.disk}, {"hash", rank.hash}, {"source", rank.source}}},
      {"links", links}};
}

RankReport rank_from_json(const nlohmann::json& object) {
  RankReport rank;
  rank.rank = object.at("rank");
  rank.host = object.at("host");
  rank.bytes_read = object.at("bytes_read");
  rank.bytes_written = object.at("bytes_written");
  rank.peak_rss = object.at("peak_rss");
  const nlohmann::json& waiting = object.at("waiting");
  rank.network_wait = waiting.at("network");
  rank.disk = waiting.at("disk");
  rank.hash = waiting.at("hash");
  rank.source = waiting.at("source");
  for (const nlohmann::json& link : object.at("links"))
    rank.links.push_back({link.at("to"), link.at("busy"), link.at("fastest")});
  return rank;
}

void put_routes(nlohmann::json& document, const Report& report) {
  if (report.route.empty()) return;
  document["route"] = report.route;
  document["chunk_size"] = report.chunk_size;
  nlohmann::json predicted = nlohmann::json::array();
  for (const RouteReport& route : report.predicted) {
    predicted.push_back({{"route", route.route}, {"chunk_size", route.chunk_size}, {"seconds", route.seconds}});
  }
  document["predicted"] = predicted;
  document["lower_bound"] = report.lower_bound;
  document["explained"] = report.explained;
  if (!report.limited_by.empty()) document["limited_by"] = base::utf8_or_replacement(report.limited_by);
}

void get_routes(const nlohmann::json& document, Report& report) {
  if (!document.contains("route")) return;
  report.route = document.at("route");
  report.chunk_size = document.at("chunk_size");
  for (const nlohmann::json& route : document.at("predicted")) {
    report.predicted.push_back({route.at("route"), route.at("chunk_size"), route.at("seconds")});
  }
  report.lower_bound = document.at("lower_bound");
  report.explained = document.at("explained");
  report.limited_by = document.value("limited_by", "");
}

Report read_report(const nlohmann::json& document) {
  Report report;
  report.command = document.at("command");
  report.exit = document.at("exit");
  report.files = document.at("files");
  report.folders = document.value("folders", std::int64_t{0});
  report.bytes = document.at("bytes");
  report.bytes_moved = document.at("bytes_moved");
  report.digest = document.value("digest", "");
  report.name = get_bytes(document, "name");
  const nlohmann::json& seconds = document.at("seconds");
  report.seconds = {seconds.at("start"), seconds.at("scan"), seconds.at("transfer"), seconds.at("commit"),
                    seconds.at("total")};
  for (const nlohmann::json& rank : document.at("ranks")) report.ranks.push_back(rank_from_json(rank));
  for (const nlohmann::json& error : document.at("errors")) report.errors.push_back(failure_from_json(error));
  report.errors_total = document.at("errors_total");
  for (const nlohmann::json& one : document.value("warnings", nlohmann::json::array())) {
    report.warnings.push_back(failure_from_json(one));
  }
  get_routes(document, report);
  report.differences = document.value("differences", std::int64_t{0});
  report.dry_run = document.contains("would_change");
  report.would_change = document.value("would_change", std::int64_t{0});
  if (document.contains("stripe")) report.stripe = stripe_report_from_json(document.at("stripe"));
  if (document.contains("ledger")) report.fetch = get_fetch(document);
  return report;
}

}  // namespace

// VmHWM: unlike getrusage's number, not inherited over exec.
std::int64_t peak_rss() {
  std::ifstream status("/proc/self/status");
  std::string key;
  while (status >> key) {
    std::int64_t kibibytes = 0;
    if (key == "VmHWM:" && status >> kibibytes) return kibibytes * 1024;
    status.ignore(1 << 12, '\n');
  }
  return 0;
}

nlohmann::json to_json(const Report& report) {
  nlohmann::json document = {{"command", report.command},
                             {"exit", report.exit},
                             {"files", report.files},
                             {"folders", report.folders},
                             {"bytes", report.bytes},
                             {"bytes_moved", report.bytes_moved},
                             {"seconds",
                              {{"start", report.seconds.start},
                               {"scan", report.seconds.scan},
                               {"transfer", report.seconds.transfer},
                               {"commit", report.seconds.commit},
                               {"total", report.seconds.total}}},
                             {"ranks", nlohmann::json::array()},
                             {"errors", nlohmann::json::array()},
                             {"errors_total", report.errors_total}};
  if (!report.digest.empty()) document["digest"] = report.digest;
  if (!report.name.empty()) put_bytes(document, "name", report.name);
  put_routes(document, report);
  if (report.command == "verify" && !report.stripe) document["differences"] = report.differences;
  if (report.dry_run) {
    document["would_change"] = report.would_change;
    // Names have been written ahead of this, if there are any.
    if (report.would_change == 0) document["names"] = nlohmann::json::array();
  }
  if (report.stripe) document["stripe"] = to_json(*report.stripe);
  if (report.fetch) put_fetch(document, *report.fetch);
  for (const RankReport& rank : report.ranks) {
    nlohmann::json one = rank_to_json(rank);
    const double seconds = report.seconds.transfer;
    one["rate"] = seconds > 0 ? static_cast<double>(rank.bytes_written) / seconds : 0.0;
    document["ranks"].push_back(std::move(one));
  }
  for (const base::Failure& failure : report.errors) document["errors"].push_back(failure_to_json(failure));
  for (const base::Failure& warning : report.warnings) document["warnings"].push_back(failure_to_json(warning));
  return document;
}

Report report_from_json(const nlohmann::json& document) {
  try {
    return read_report(document);
  } catch (const std::exception& error) {
    throw base::Error(base::Kind::kSystem, "", 0, std::string("rank 0 sent a report without sense: ") + error.what());
  }
}

}  // namespace argosy::command
