#include "command/fetch_report.h"

#include <nlohmann/json.hpp>

#include "base/error.h"

namespace argosy::command {

namespace {

nlohmann::json to_json(const Response& response) {
  // A name that comes twice has both its values, one after the other (RFC 9110, 5.3).
  nlohmann::json headers = nlohmann::json::object();
  for (const auto& [name, value] : response.fields) {
    const std::string key = base::utf8_or_replacement(name);
    const std::string text = base::utf8_or_replacement(value);
    headers[key] = headers.contains(key) ? headers[key].get<std::string>() + ", " + text : text;
  }
  nlohmann::json object = {{"url", base::utf8_or_replacement(response.url)},
                           {"status", response.status},
                           {"headers", headers},
                           {"seconds", response.seconds},
                           {"bytes", response.bytes},
                           {"digest", response.digest},
                           {"rank", response.rank}};
  if (!response.error.empty()) object["error"] = base::utf8_or_replacement(response.error);
  return object;
}

Response response_from_json(const nlohmann::json& object) {
  Response response;
  response.url = object.at("url");
  response.status = object.at("status");
  for (const auto& [name, value] : object.at("headers").items()) response.fields.emplace_back(name, value);
  response.seconds = object.at("seconds");
  response.bytes = object.at("bytes");
  response.digest = object.at("digest");
  response.rank = object.at("rank");
  response.error = object.value("error", "");
  return response;
}

}  // namespace

void put_fetch(nlohmann::json& document, const FetchReport& fetch) {
  nlohmann::json origins = nlohmann::json::array();
  for (const OriginReport& origin : fetch.origins) {
    origins.push_back({{"host", base::utf8_or_replacement(origin.host)},
                       {"requests", origin.requests},
                       {"bytes", origin.bytes},
                       {"retries", origin.retries},
                       {"429s", origin.throttled}});
  }
  document["ledger"] = {
      {"origins", origins}, {"received", fetch.received}, {"delivered", fetch.delivered}, {"ratio", fetch.ratio()}};
  document["in_place"] = fetch.in_place;
  document["resumed"] = fetch.resumed;
  document["to_stdout"] = fetch.to_output;
  if (!fetch.with_responses) return;
  document["responses"] = nlohmann::json::array();
  for (const Response& response : fetch.responses) document["responses"].push_back(to_json(response));
}

FetchReport get_fetch(const nlohmann::json& document) {
  FetchReport fetch;
  const nlohmann::json& ledger = document.at("ledger");
  for (const nlohmann::json& one : ledger.at("origins")) {
    fetch.origins.push_back({one.at("host"), one.at("requests"), one.at("bytes"), one.at("retries"), one.at("429s")});
  }
  fetch.received = ledger.at("received");
  fetch.delivered = ledger.at("delivered");
  fetch.in_place = document.at("in_place");
  fetch.resumed = document.at("resumed");
  fetch.to_output = document.at("to_stdout");
  fetch.with_responses = document.contains("responses");
  if (!fetch.with_responses) return fetch;
  for (const nlohmann::json& one : document.at("responses")) fetch.responses.push_back(response_from_json(one));
  return fetch;
}

}  // namespace argosy::command
