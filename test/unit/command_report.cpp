#include "command/report.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace argosy::command {
namespace {

Report whole_report() {
  Report report;
  report.command = "send";
  report.exit = 1;
  report.files = 2;
  report.bytes = std::int64_t{5} << 40;
  report.bytes_moved = 17;
  report.digest = "xxh3:00ff";
  report.name = "a\xff";
  report.seconds = {0.5, 1, 2, 3, 6.5};
  RankReport& sender = report.ranks.emplace_back();
  sender.host = "h1";
  sender.bytes_read = 17;
  sender.peak_rss = 4096;
  sender.network_wait = 0.25;
  sender.disk = 0.5;
  sender.links = {{1, 0.75}};
  RankReport& receiver = report.ranks.emplace_back();
  receiver.rank = 1;
  receiver.host = "h2";
  receiver.bytes_written = 17;
  receiver.peak_rss = 8192;
  report.errors = {{base::Kind::kSource, "b\n\xfe", 0, "h1", 2, "No such file"},
                   {base::Kind::kSystem, "", -1, "", 0, "x"}};
  report.errors_total = 12;
  return report;
}

TEST(Report, SurvivesJson) {
  const Report report = whole_report();
  const std::string text = to_json(report).dump();
  const Report again = report_from_json(nlohmann::json::parse(text));
  EXPECT_EQ(again.command, report.command);
  EXPECT_EQ(again.exit, report.exit);
  EXPECT_EQ(again.files, report.files);
  EXPECT_EQ(again.bytes, report.bytes);
  EXPECT_EQ(again.bytes_moved, report.bytes_moved);
  EXPECT_EQ(again.digest, report.digest);
  EXPECT_EQ(again.name, report.name);
  EXPECT_EQ(again.seconds.total, report.seconds.total);
  EXPECT_EQ(again.seconds.commit, report.seconds.commit);
  ASSERT_EQ(again.ranks.size(), 2U);
  EXPECT_EQ(again.ranks[1].host, "h2");
  EXPECT_EQ(again.ranks[1].bytes_written, 17);
  EXPECT_EQ(again.ranks[1].peak_rss, 8192);
  ASSERT_EQ(again.errors.size(), 2U);
  EXPECT_EQ(again.errors[0].kind, base::Kind::kSource);
  EXPECT_EQ(again.errors[0].path, report.errors[0].path);
  EXPECT_EQ(again.errors[0].error_number, 2);
  EXPECT_EQ(again.errors_total, 12);
}

TEST(Report, HasTheKeysOfItsDocument) {
  const auto document = to_json(whole_report());
  for (const char* key : {"command", "exit", "files", "bytes", "bytes_moved", "digest", "seconds", "ranks", "errors"}) {
    EXPECT_TRUE(document.contains(key)) << key;
  }
  for (const char* key : {"kind", "path", "rank", "host", "errno", "message"}) {
    EXPECT_TRUE(document["errors"][0].contains(key)) << key;
  }
  EXPECT_EQ(document["errors"][0]["kind"], "source");
  EXPECT_EQ(document["errors"][0]["path"], "b\n\xEF\xBF\xBD");
  EXPECT_EQ(document["errors"][0]["path_base64"], "Ygr+");
  EXPECT_FALSE(document["errors"][1].contains("path_base64"));
  EXPECT_EQ(document["name_base64"], "Yf8=");
  Report bare;
  EXPECT_FALSE(to_json(bare).contains("digest"));
  EXPECT_FALSE(to_json(bare).contains("name"));
}

TEST(Report, Base64HasEveryLength) {
  for (std::size_t length = 1; length < 10; ++length) {
    Report report;
    for (std::size_t i = 0; i < length; ++i) report.name += static_cast<char>(0xFF - 31 * i);
    EXPECT_EQ(report_from_json(to_json(report)).name, report.name);
  }
}

TEST(Report, MalformedDocumentsAreRefused) {
  for (const char* text : {"{}", "[]", "1", "{\"command\":7}"}) {
    EXPECT_THROW(report_from_json(nlohmann::json::parse(text)), base::Error) << text;
  }
  auto document = to_json(whole_report());
  document["name_base64"] = "?";
  EXPECT_THROW(report_from_json(document), base::Error);
  document = to_json(whole_report());
  document["ranks"] = {{{"rank", "zero"}}};
  EXPECT_THROW(report_from_json(document), base::Error);
}

}  // namespace
}  // namespace argosy::command
