// What origins say, taken apart: fields of answers, names, addresses, checksums, lists.
#include <gtest/gtest.h>

#include "base/error.h"
#include "http/answer.h"
#include "http/connection.h"
#include "http/header_lines.h"
#include "http/list.h"
#include "http/name.h"
#include "http/url.h"

namespace argosy::http {
namespace {

Answer answer(int status, std::vector<std::pair<std::string, std::string>> fields) {
  return {status, std::move(fields)};
}

TEST(HttpAnswer, ContentRange) {
  const auto range = parse_content_range("bytes 10-19/100");
  ASSERT_TRUE(range);
  EXPECT_EQ(range->first, 10);
  EXPECT_EQ(range->last, 19);
  EXPECT_EQ(range->size, 100);
  EXPECT_EQ(parse_content_range("Bytes 0-0/*")->size, -1);
  for (const char* wrong : {"", "bytes", "bytes 0-9", "bytes 9-0/10", "bytes 0-10/10", "bytes -1-5/10", "bytes 0-9/x",
                            "items 0-9/10", "bytes 0-9/10 and more", "bytes 0-99999999999999999999/*", "bytes */10"}) {
    EXPECT_FALSE(parse_content_range(wrong)) << wrong;
  }
  EXPECT_EQ(parse_unsatisfied_range("bytes */0"), 0);
}

TEST(HttpAnswer, OnlyStrongETagsPin) {
  EXPECT_EQ(strong_etag(answer(200, {{"etag", "\"a\""}})), "\"a\"");
  EXPECT_EQ(strong_etag(answer(200, {{"etag", "W/\"a\""}})), "");
  EXPECT_EQ(strong_etag(answer(200, {{"etag", "a"}})), "");
  EXPECT_EQ(strong_etag(answer(200, {})), "");
}

TEST(HttpAnswer, WhatDiffersIsNamed) {
  const auto pin = [](std::string etag, std::string modified, std::int64_t size, std::string weak = "") {
    return Pin{std::move(etag), std::move(modified), size, std::move(weak)};
  };
  const Pin strong = pin("\"a\"", "Thu, 01 Jan 2026 00:00:00 GMT", 10);
  EXPECT_EQ(mismatch(strong, strong), "");
  EXPECT_NE(mismatch(strong, pin("\"b\"", strong.last_modified, 10)), "");
  EXPECT_NE(mismatch(strong, pin("", strong.last_modified, 10)), "");
  EXPECT_NE(mismatch(strong, pin("\"a\"", strong.last_modified, 11)), "");
  EXPECT_EQ(mismatch(strong, pin("\"a\"", "another", 10)), "") << "the ETag says more";
  EXPECT_NE(mismatch(pin("", "then", 10), pin("", "now", 10)), "");
  EXPECT_NE(mismatch(pin("", "then", 10, "W/\"a\""), pin("", "then", 10, "W/\"b\"")), "")
      << "a weak ETag that differs says that something does";
  EXPECT_EQ(mismatch(Pin{}, strong), "");
}

TEST(HttpAnswer, WhatPinsIsKeptAsText) {
  const Pin strong{"\"a/\\\"", "Thu, 01 Jan 2026 00:00:00 GMT", 10, ""};
  const Pin dated{"", strong.last_modified, 10, ""};
  const Pin weak{"", strong.last_modified, 10, "W/\"a\""};
  EXPECT_EQ(pin_from_text(to_text(strong), 10), (Pin{strong.etag, "", 10, ""})) << "the ETag says all";
  EXPECT_EQ(pin_from_text(to_text(dated), 10), dated);
  EXPECT_EQ(pin_from_text(to_text(weak), 10), weak);
  EXPECT_EQ(to_text(Pin{}), "");
  EXPECT_EQ(to_text(Pin{"", "", 10, "W/\"a\""}), "");
  EXPECT_EQ(to_text(Pin{"", "yesterday", 10, ""}), "");
  EXPECT_EQ(to_text(Pin{'"' + std::string(5000, 'a') + '"', "", 10, ""}), "");
  for (const char* text :
       {"", "\n", "\n\n", "a\n\n", "\"\n\n", "\"a\"\n\n\n", "\"a\r\"\n\n", "\"a\"\nX: y\r\n", "\nnow\n"})
    EXPECT_FALSE(pin_from_text(text, 10)) << text;
  EXPECT_EQ(if_range_of(strong), strong.etag);
  EXPECT_EQ(if_range_of(dated), dated.last_modified);
  EXPECT_EQ(if_range_of(weak), "") << "no time beside a weak ETag";
}

TEST(HttpAnswer, ATimeWithinTheSecondPinsNothing) {
  const auto modified = [](const char* time) {
    return pin_of(answer(200, {{"last-modified", time}, {"date", "Thu, 01 Jan 2026 00:00:05 GMT"}})).last_modified;
  };
  EXPECT_NE(modified("Thu, 01 Jan 2026 00:00:04 GMT"), "");
  EXPECT_EQ(modified("Thu, 01 Jan 2026 00:00:05 GMT"), "");
}

TEST(HttpAnswer, TheTimeThatAnOriginAsksFor) {
  EXPECT_EQ(wait_asked(answer(429, {{"retry-after", "7"}}), 0), 7);
  EXPECT_EQ(wait_asked(answer(503, {{"retry-after", "Thu, 01 Jan 1970 00:01:40 GMT"}}), 40), 60);
  EXPECT_EQ(wait_asked(answer(503, {{"retry-after", "Thu, 01 Jan 1970 00:01:40 GMT"}}), 400), 0);
  EXPECT_EQ(wait_asked(answer(200, {{"ratelimit", "\"default\";r=0;t=30"}}), 0), 30);
  EXPECT_EQ(wait_asked(answer(200, {{"ratelimit", "limit=10, remaining=0, reset=5"}}), 0), 5);
  EXPECT_EQ(wait_asked(answer(200, {{"ratelimit", "\"default\";r=3;t=30"}}), 0), std::nullopt);
  EXPECT_EQ(wait_asked(answer(200, {{"x-ratelimit-remaining", "0"}, {"x-ratelimit-reset", "1700000060"}}), 1700000000),
            60);
  EXPECT_EQ(wait_asked(answer(200, {{"retry-after", "soon"}}), 0), std::nullopt);
}

TEST(HttpAnswer, ProposedNames) {
  const auto name = [](const char* text) {
    return proposed_name(answer(200, {{"content-disposition", text}})).value_or("-");
  };
  EXPECT_EQ(name("attachment; filename=a.bin"), "a.bin");
  EXPECT_EQ(name("attachment; filename=\"a; b.bin\"; size=3"), "a; b.bin");
  EXPECT_EQ(name("attachment; filename=x; filename*=UTF-8''%e2%82%ac%20rates"), "\u20ac rates");
  EXPECT_EQ(name("attachment; filename*=iso-8859-1'en'%A3"), "\u00a3");
  EXPECT_EQ(name("attachment; filename*=UTF-8''%ff; filename=plain"), "plain");
  EXPECT_EQ(name("attachment; filename=\"a\\\"b\""), "a\"b");
  EXPECT_EQ(name("inline"), "-");
}

TEST(HttpName, IsOneComponentAndFits) {
  EXPECT_EQ(safe_name("a.bin"), "a.bin");
  EXPECT_EQ(safe_name("../../etc/passwd"), "passwd");
  EXPECT_EQ(safe_name("C:\\x\\y.txt"), "y.txt");
  EXPECT_EQ(safe_name(".."), "index.html");
  EXPECT_EQ(safe_name(""), "index.html");
  EXPECT_EQ(safe_name("a/"), "index.html");
  EXPECT_EQ(safe_name(".ssh"), "_ssh");
  EXPECT_EQ(safe_name(std::string_view("a\0b", 3)), "a");
  EXPECT_EQ(safe_name("a\nb\x7f"), "a_b_");
  EXPECT_EQ(safe_name("a\u0085\u009bb"), "a__b") << "C1 controls";
  EXPECT_EQ(safe_name("exe.\u202egpj\u2066"), "exe._gpj_") << "writing turned around";
  EXPECT_EQ(safe_name("na\u00efve \u20ac \U0001f600"), "na\u00efve \u20ac \U0001f600");
  EXPECT_EQ(safe_name("a\xe9z\xc3"), "a_z_") << "no UTF-8";
  EXPECT_EQ(safe_name(std::string(300, 'n') + ".tar").size(), 255U);
  EXPECT_TRUE(safe_name(std::string(300, 'n') + ".tar").ends_with(".tar"));
  EXPECT_TRUE(base::is_utf8(safe_name("x" + [] {
    std::string s;
    for (int i = 0; i < 200; ++i) s += "\u20ac";
    return s;
  }())));
  EXPECT_EQ(numbered("a", 2), "a.2");
  EXPECT_EQ(numbered(std::string(255, 'n'), 10).size(), 255U);
}

TEST(HttpUrl, PartsAndSecrets) {
  const Url url = parse_url("HTTP://ali:b%40ba@Example.ORG/a/b%20c?q=1#part");
  EXPECT_EQ(url.text.find("ali"), std::string::npos);
  EXPECT_EQ(url.text.find('#'), std::string::npos);
  EXPECT_EQ(url.origin, "http://example.org:80");
  EXPECT_EQ(url.user, "ali");
  EXPECT_EQ(url.password, "b@ba");
  EXPECT_EQ(last_part(url), "b c");
  EXPECT_TRUE(parse_url("https://h").secure);
  for (const char* wrong : {"ftp://h/x", "file:///x", "x", "", "http://", "http://h/a b", "http://h:99999/"}) {
    EXPECT_THROW(parse_url(wrong), base::Error) << wrong;
  }
  EXPECT_EQ(without_credentials("http://a:b@h/x@y"), "http://h/x@y");
  EXPECT_EQ(without_credentials("file@name"), "file@name");
  for (const char* wrong : {"ftp://ali:baba@h/x", "http:/ali:baba@h/x", "ali:baba@h/x", "http://ali:ba/baba@h/x"}) {
    try {
      parse_url(wrong);
      ADD_FAILURE() << wrong;
    } catch (const base::Error& error) {
      EXPECT_EQ(base::describe(error.failure()).find("baba"), std::string::npos) << wrong;
    }
  }
  EXPECT_NE(fingerprint(url), fingerprint(parse_url("http://example.org/a/b%20c?q=2")));
}

TEST(HttpChecksum, KnownValues) {
  Hasher hasher("SHA256");
  hasher.add(std::as_bytes(std::span("abc", 3)));
  const Checksum is = hasher.finish();
  const char* hex = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
  EXPECT_EQ(checksum_from_hex("sha-256", hex), is);
  EXPECT_EQ(parse_checksum(std::string("sha256:") + hex), is);
  EXPECT_EQ(checksum_from_base64("sha-256", "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0="), is);
  EXPECT_EQ(to_string(is), std::string("sha-256:") + hex);
  for (const char* wrong : {"sha256", "sha256:", "sha256:ab", "sha999:ab", "md5:zz"})
    EXPECT_FALSE(parse_checksum(wrong));
  EXPECT_FALSE(checksum_from_base64("sha-256", "????"));
  const auto found =
      digests(answer(200, {{"repr-digest", "unixsum=:AA==:, sha-256=:ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=:"}}),
              "repr-digest");
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0], is);
}

TEST(HttpList, LinesAndWhatIsWrongWithThem) {
  const auto all =
      parse_list("# x\n\nhttp://h/a\r\nhttp://h/b name\nhttp://h/c  n2  md5:" + std::string(32, 'a') + "\n", "list");
  ASSERT_EQ(all.size(), 3U);
  EXPECT_EQ(all[0].urls[0], "http://h/a");
  EXPECT_EQ(all[1].name, "name");
  EXPECT_EQ(parse_list("\xEF\xBB\xBFhttp://h/a\n", "list")[0].urls[0], "http://h/a");
  EXPECT_EQ(all[2].checksums.size(), 1U);
  for (const char* wrong : {"x", "http://h/a a/b", "http://h/a md5:aa", "http://h/a n more", "http://h/a .."}) {
    EXPECT_THROW(parse_list(wrong, "list"), base::Error) << wrong;
  }
}

TEST(HttpList, Metalink) {
  const std::string text =
      "<?xml version='1.0'?><m:metalink xmlns:m='urn:ietf:params:xml:ns:metalink'><m:file name='../a.bin'>"
      "<m:size>3000</m:size><m:hash type='sha-256'>" +
      std::string(64, 'a') +
      "</m:hash><m:hash type='x'>1</m:hash>"
      "<m:pieces length='2048' type='sha-1'><m:hash>" +
      std::string(40, 'b') + "</m:hash><m:hash>" + std::string(40, 'c') +
      "</m:hash></m:pieces><m:url>http://z/</m:url><m:url priority='2'>http://b/</m:url><m:url "
      "priority='1'>https://a/</m:url>"
      "<m:url priority='1'>ftp://no/</m:url></m:file></m:metalink>";
  const auto all = parse_list(text, "x.meta4");
  ASSERT_EQ(all.size(), 1U);
  EXPECT_EQ(all[0].name, "a.bin");
  EXPECT_EQ(all[0].size, 3000);
  EXPECT_EQ(all[0].urls, (std::vector<std::string>{"https://a/", "http://b/", "http://z/"}));
  EXPECT_EQ(all[0].pieces.checksums.size(), 2U);
  for (const std::string& wrong : {std::string("<a"), std::string("<metalink/>"), text.substr(0, 200)}) {
    EXPECT_THROW(parse_list(wrong, "x"), base::Error);
  }
}

TEST(HttpHeaders, LinesOfAFile) {
  EXPECT_EQ(parse_header_lines("# c\n\nA: b\r\nX-Y:z\n", "f"), (std::vector<std::string>{"A: b", "X-Y:z"}));
  for (const char* wrong : {"secret", ": x", "A b: c", "Range: bytes=0-1", "accept-encoding: gzip", "A: \x01"}) {
    try {
      parse_header_lines(wrong, "f");
      ADD_FAILURE() << wrong;
    } catch (const base::Error& error) {
      EXPECT_EQ(std::string(error.what()).find("secret"), std::string::npos);
    }
  }
}

}  // namespace
}  // namespace argosy::http
