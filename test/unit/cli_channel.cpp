#include "cli/channel.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <functional>
#include <future>
#include <nlohmann/json.hpp>
#include <stop_token>
#include <thread>

#include "base/error.h"
#include "cli/channel_server.h"
#include "cli/pump.h"

namespace argosy::cli {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr seconds kPatience(10);

// Serves until `done`, or fails the test.
void serve_until(ChannelServer& server, std::vector<nlohmann::json>& frames, const std::function<bool()>& done) {
  const auto deadline = Clock::now() + kPatience;
  while (!done()) {
    ASSERT_LT(Clock::now(), deadline);
    std::vector<pollfd> fds;
    server.add_to_poll(fds);
    ASSERT_GE(poll(fds.data(), fds.size(), 10), 0);
    server.serve(frames);
  }
}

// The client's constructor, while the server serves.
std::unique_ptr<ChannelClient> connect(ChannelServer& server) {
  auto client = std::async(std::launch::async, [&] { return std::make_unique<ChannelClient>(server.place()); });
  std::vector<nlohmann::json> frames;
  serve_until(server, frames, [&] { return client.wait_for(seconds(0)) == std::future_status::ready; });
  return client.get();
}

base::Fd raw_connection(const ChannelServer& server) {
  std::string error;
  base::Fd fd = start_connect("127.0.0.1", parse_place(server.place())->port, error);
  pollfd waiting = {fd.get(), POLLOUT, 0};
  EXPECT_EQ(poll(&waiting, 1, 5000), 1) << error;
  return fd;
}

void send_raw(const base::Fd& fd, const std::string& text) {
  ASSERT_EQ(send(fd.get(), text.data(), text.size(), MSG_NOSIGNAL), static_cast<ssize_t>(text.size()));
}

// Serves until the server has closed the connection.
void expect_closed(ChannelServer& server, const base::Fd& fd) {
  std::vector<nlohmann::json> frames;
  serve_until(server, frames, [&] {
    char byte = 0;
    return recv(fd.get(), &byte, 1, MSG_DONTWAIT) == 0 || (errno != EAGAIN && errno != EWOULDBLOCK);
  });
  EXPECT_TRUE(frames.empty());
}

command::Report some_report() {
  command::Report report;
  report.command = "send";
  report.exit = 3;
  report.name = "\xff.bin";
  report.bytes = 17;
  return report;
}

TEST(CliChannel, PlacesSurviveText) {
  const ChannelPlace place = {"abc", 4711, {"127.0.0.1", "fe80::1"}};
  const auto again = parse_place(format_place(place));
  ASSERT_TRUE(again);
  EXPECT_EQ(again->token, place.token);
  EXPECT_EQ(again->port, place.port);
  EXPECT_EQ(again->addresses, place.addresses);
  for (const char* text : {"", "a", "a,1", ",1,b", "a,0,b", "a,65536,b", "a,x,b"})
    EXPECT_FALSE(parse_place(text)) << text;
}

TEST(CliChannel, TokensAreRandomAndCompared) {
  EXPECT_EQ(random_token().size(), 32U);
  EXPECT_NE(random_token(), random_token());
  EXPECT_TRUE(same_token("abc", "abc"));
  EXPECT_FALSE(same_token("abc", "abd"));
  EXPECT_FALSE(same_token("abc", "abcd"));
}

TEST(CliChannel, FramesArriveInOrder) {
  ChannelServer server(true);
  const auto client = connect(server);
  client->started();
  command::Progress progress;
  progress.phase = "transfer";
  progress.bytes = 5;
  client->progress(progress);
  client->progress(progress);  // too soon: dropped
  auto sent = std::async(std::launch::async, [&] { return client->send_result(some_report(), kPatience); });
  std::vector<nlohmann::json> frames;
  serve_until(server, frames, [&] { return !frames.empty() && frames.back()["type"] == "result"; });
  server.send("received");
  EXPECT_TRUE(sent.get());
  ASSERT_EQ(frames.size(), 3U);
  EXPECT_EQ(frames[0]["type"], "started");
  EXPECT_EQ(frames[1]["bytes"], 5);
  EXPECT_EQ(frames[1]["bytes_total"], -1);
  EXPECT_EQ(command::report_from_json(frames[2]["report"]).name, "\xff.bin");
}

TEST(CliChannel, ResultsNeedAnAnswer) {
  ChannelServer server(true);
  const auto client = connect(server);
  EXPECT_FALSE(client->send_result(some_report(), milliseconds(50)));
}

TEST(CliChannel, FatalCarriesLineAndCode) {
  ChannelServer server(true);
  const auto client = connect(server);
  auto sent = std::async(std::launch::async, [&] { client->fatal(6, "rank 1 waits for rank 0"); });
  std::vector<nlohmann::json> frames;
  serve_until(server, frames, [&] { return !frames.empty(); });
  server.send("received");
  sent.get();
  EXPECT_EQ(frames[0]["exit"], 6);
  EXPECT_EQ(frames[0]["message"], "rank 1 waits for rank 0");
}

TEST(CliChannel, InterruptReachesRankZero) {
  ChannelServer server(true);
  const auto client = connect(server);
  EXPECT_FALSE(client->interrupted());
  server.send("interrupt");
  const auto deadline = Clock::now() + kPatience;
  while (!client->interrupted()) ASSERT_LT(Clock::now(), deadline);
  EXPECT_TRUE(client->interrupted());
}

TEST(CliChannel, AskingForInterruptsKeepsAlive) {
  ChannelServer server(true);
  const auto client = connect(server);
  std::vector<nlohmann::json> frames;
  serve_until(server, frames, [&] {
    EXPECT_FALSE(client->interrupted());
    return !frames.empty();
  });
  EXPECT_EQ(frames[0]["type"], "alive");
}

TEST(CliChannel, ALostSupervisorIsAnInterrupt) {
  auto server = std::make_unique<ChannelServer>(true);
  const auto client = connect(*server);
  server.reset();
  const auto deadline = Clock::now() + kPatience;
  while (!client->interrupted()) ASSERT_LT(Clock::now(), deadline);
  EXPECT_FALSE(client->send_result(some_report(), kPatience));
  EXPECT_THROW(client->open_standard_input(), base::Error);
}

TEST(CliChannel, ALostRankZeroIsNoticed) {
  ChannelServer server(true);
  auto client = connect(server);
  EXPECT_FALSE(server.lost());
  client.reset();
  std::vector<nlohmann::json> frames;
  serve_until(server, frames, [&] { return server.lost(); });
}

TEST(CliChannel, WrongTokensAreClosed) {
  ChannelServer server(true);
  for (const char* hello : {"argosy1 0123456789abcdef0123456789abcdef control\n", "\n", "GET / HTTP/1.1\r\n\r\n"}) {
    const base::Fd fd = raw_connection(server);
    send_raw(fd, hello);
    expect_closed(server, fd);
  }
  const base::Fd endless = raw_connection(server);
  send_raw(endless, std::string(4096, 'x'));
  expect_closed(server, endless);
  EXPECT_FALSE(server.lost());
}

TEST(CliChannel, HellosMayComeInParts) {
  ChannelServer server(true);
  const base::Fd fd = raw_connection(server);
  const std::string hello = hello_line(parse_place(server.place())->token, "control");
  std::vector<nlohmann::json> frames;
  for (const char c : hello + "{\"type\":\"started\"}\n{\"ty") {
    send_raw(fd, std::string(1, c));
    server.serve(frames);
  }
  serve_until(server, frames, [&] { return !frames.empty(); });
  EXPECT_EQ(frames.size(), 1U);
  send_raw(fd, "pe\":\"alive\"}\n");
  serve_until(server, frames, [&] { return frames.size() == 2; });
  EXPECT_EQ(frames[1]["type"], "alive");
}

TEST(CliChannel, OnlyOneControlConnection) {
  ChannelServer server(true);
  const auto client = connect(server);
  const base::Fd second = raw_connection(server);
  send_raw(second, hello_line(parse_place(server.place())->token, "control"));
  expect_closed(server, second);
  EXPECT_FALSE(server.lost());
}

TEST(CliChannel, NonsenseEndsTheConnection) {
  ChannelServer server(true);
  const base::Fd fd = raw_connection(server);
  send_raw(fd, hello_line(parse_place(server.place())->token, "control") + "nonsense\n");
  std::vector<nlohmann::json> frames;
  serve_until(server, frames, [&] { return server.lost(); });
  EXPECT_TRUE(frames.empty());
}

TEST(CliChannel, LinesAreBounded) {
  std::array<int, 2> ends{};
  ASSERT_EQ(pipe2(ends.data(), O_NONBLOCK | O_CLOEXEC), 0);
  const base::Fd in(ends[0]);
  const base::Fd out(ends[1]);
  LineReader reader(8);
  std::vector<std::string> lines;
  ASSERT_EQ(write(out.get(), "12345678\n\nabc", 13), 13);
  EXPECT_EQ(reader.read(in.get(), lines), LineReader::State::kOpen);
  EXPECT_EQ(lines, (std::vector<std::string>{"12345678", ""}));
  EXPECT_EQ(reader.rest(), "abc");
  ASSERT_EQ(write(out.get(), "defghi", 6), 6);
  EXPECT_EQ(reader.read(in.get(), lines), LineReader::State::kTooLong);
}

TEST(CliChannel, NobodyThereIsAnError) {
  const ChannelPlace nobody = {random_token(), 1, {"127.0.0.1", "no address", "::1"}};
  EXPECT_THROW(ChannelClient(format_place(nobody), seconds(2)), base::Error);
  EXPECT_THROW(ChannelClient("nonsense"), base::Error);
  // Somebody is there who never answers.
  ChannelServer deaf(true);
  EXPECT_THROW(ChannelClient(deaf.place(), milliseconds(100)), base::Error);
}

TEST(CliChannel, FindsTheSupervisorAmongItsAddresses) {
  ChannelServer server(false);
  auto place = *parse_place(server.place());
  EXPECT_EQ(place.addresses[0], "127.0.0.1");
  place.addresses.insert(place.addresses.begin(), "192.0.2.1");  // TEST-NET-1: nothing answers there
  const std::string text = format_place(place);
  auto client = std::async(std::launch::async, [&] { return std::make_unique<ChannelClient>(text); });
  std::vector<nlohmann::json> frames;
  serve_until(server, frames, [&] { return client.wait_for(seconds(0)) == std::future_status::ready; });
  EXPECT_NO_THROW(client.get());
}

// Both ends of a standard input connection.
struct Standard {
  base::Fd reader;
  base::Fd writer;
};

Standard open_standard(ChannelServer& server, ChannelClient& client) {
  Standard both;
  auto reader = std::async(std::launch::async, [&] { return client.open_standard_input(); });
  std::vector<nlohmann::json> frames;
  serve_until(server, frames, [&] {
    if (!both.writer.valid()) both.writer = server.take_standard_input();
    return both.writer.valid();
  });
  both.reader = reader.get();
  return both;
}

// Reads to the end; the errno of a failing read instead of what was read.
std::pair<std::string, int> read_all(int fd) {
  std::string text;
  std::array<char, 4096> part{};
  while (true) {
    const ssize_t count = read(fd, part.data(), part.size());
    if (count <= 0) return {text, count < 0 ? errno : 0};
    text.append(part.data(), static_cast<std::size_t>(count));
  }
}

TEST(CliChannel, StandardInputEndsWell) {
  ChannelServer server(true);
  const auto client = connect(server);
  Standard both = open_standard(server, *client);
  std::array<int, 2> ends{};
  ASSERT_EQ(pipe2(ends.data(), O_CLOEXEC), 0);
  const base::Fd source(ends[0]);
  base::Fd user(ends[1]);
  ASSERT_EQ(write(user.get(), "hello\0!", 7), 7);
  user = base::Fd();
  EXPECT_EQ(pump_standard_input(source.get(), both.writer.get()), 0);
  both.writer = base::Fd();
  const auto [text, error] = read_all(both.reader.get());
  EXPECT_EQ(error, 0);
  EXPECT_EQ(text, std::string("hello\0!", 7));
}

TEST(CliChannel, StandardInputCutShortIsAnError) {
  ChannelServer server(true);
  const auto client = connect(server);
  Standard both = open_standard(server, *client);
  send_raw(both.writer, "a part");
  both.writer = base::Fd();  // as when the supervisor is killed
  EXPECT_EQ(read_all(both.reader.get()).second, ECONNRESET);
}

TEST(CliChannel, UnreadableStandardInputIsAnError) {
  ChannelServer server(true);
  const auto client = connect(server);
  Standard both = open_standard(server, *client);
  const base::Fd folder(open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  EXPECT_NE(pump_standard_input(folder.get(), both.writer.get()), 0);
  both.writer = base::Fd();
  EXPECT_EQ(read_all(both.reader.get()).second, ECONNRESET);
}

}  // namespace
}  // namespace argosy::cli
