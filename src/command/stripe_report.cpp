#include "command/stripe_report.h"

#include <nlohmann/json.hpp>

#include "base/error.h"

namespace argosy::command {

nlohmann::json to_json(const StripeReport& report) {
  nlohmann::json document = {{"generation", report.generation}, {"layout", report.layout},
                             {"chunk_size", report.chunk_size}, {"chunks", report.chunks},
                             {"workers", report.workers},       {"parity", report.parity},
                             {"losses", report.losses},         {"moved", report.moved},
                             {"rebuilt", report.rebuilt},       {"damaged", report.damaged}};
  document["receipts"] = nlohmann::json::array();
  for (const ReceiptReport& one : report.receipts) {
    document["receipts"].push_back({{"worker", one.worker},
                                    {"host", base::utf8_or_replacement(one.host)},
                                    {"acknowledged", one.acknowledged},
                                    {"failed", one.failed},
                                    {"errno", one.error_number}});
  }
  document["shares"] = nlohmann::json::array();
  for (const ShareReport& one : report.shares) {
    document["shares"].push_back({{"share", one.share},
                                  {"rank", one.rank},
                                  {"host", base::utf8_or_replacement(one.host)},
                                  {"chunks", one.chunks},
                                  {"damaged", one.damaged},
                                  {"missing", one.missing}});
  }
  return document;
}

StripeReport stripe_report_from_json(const nlohmann::json& document) {
  StripeReport report;
  report.generation = document.at("generation");
  report.layout = document.at("layout");
  report.chunk_size = document.at("chunk_size");
  report.chunks = document.at("chunks");
  report.workers = document.at("workers");
  report.parity = document.at("parity");
  report.losses = document.at("losses");
  report.moved = document.at("moved");
  report.rebuilt = document.at("rebuilt");
  report.damaged = document.at("damaged");
  for (const nlohmann::json& one : document.at("receipts")) {
    report.receipts.push_back(
        {one.at("worker"), one.at("host"), one.at("acknowledged"), one.at("failed"), one.at("errno")});
  }
  for (const nlohmann::json& one : document.at("shares")) {
    report.shares.push_back(
        {one.at("share"), one.at("rank"), one.at("host"), one.at("chunks"), one.at("damaged"), one.at("missing")});
  }
  return report;
}

}  // namespace argosy::command
