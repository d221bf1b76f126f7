#include "cli/process.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <filesystem>
#include <fstream>

#include "base/error.h"
#include "cli/diagnose.h"
#include "cli/job_folder.h"

namespace argosy::cli {
namespace {

using std::chrono::milliseconds;

std::string read_all(const base::Fd& fd) {
  std::string text;
  std::array<char, 4096> part{};
  pollfd waiting = {fd.get(), POLLIN, 0};
  while (poll(&waiting, 1, 10'000) == 1) {
    const ssize_t count = read(fd.get(), part.data(), part.size());
    if (count <= 0) break;
    text.append(part.data(), static_cast<std::size_t>(count));
  }
  return text;
}

int wait_for(pid_t pid) {
  int status = 0;
  EXPECT_EQ(waitpid(pid, &status, 0), pid);
  return status;
}

TEST(CliProcess, SpawnsWithItsEnvironment) {
  Spawn what;
  what.arguments = {"/bin/sh", "-c", "cat; echo out $NAME; echo err >&2; exit 7"};
  what.environment = {"NAME=value"};
  const Child child = spawn(what);
  EXPECT_EQ(read_all(child.output), "out value\nerr\n");
  EXPECT_EQ(WEXITSTATUS(wait_for(child.pid)), 7);
}

TEST(CliProcess, SaysWhatCannotBeStarted) {
  Spawn what;
  what.arguments = {"/no/such/program"};
  try {
    spawn(what);
    FAIL();
  } catch (const base::Error& error) {
    EXPECT_EQ(error.failure().error_number, ENOENT);
    EXPECT_EQ(error.failure().kind, base::Kind::kSystem);
  }
}

TEST(CliProcess, ForkedChildrenReturn) {
  const Child child = fork_child([](int fd) { return write(fd, "hello", 5) == 5 ? 3 : 4; });
  EXPECT_EQ(read_all(child.output), "hello");
  EXPECT_EQ(WEXITSTATUS(wait_for(child.pid)), 3);
}

TEST(CliProcess, KillsWhatIsLeft) {
  ASSERT_EQ(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
  Spawn what;
  // One that ignores SIGTERM, one in a session of its own, one stopped; their parent is gone.
  what.arguments = {"/bin/sh", "-c",
                    "(trap '' TERM; sleep 100) & setsid sleep 100 & sleep 100 & kill -STOP $!; echo ready"};
  what.own_session = true;
  const Child child = spawn(what);
  pollfd waiting = {child.output.get(), POLLIN, 0};
  ASSERT_EQ(poll(&waiting, 1, 10'000), 1);
  const auto others = descendants();
  EXPECT_GE(others.size(), 3U);
  kill_descendants({});
  EXPECT_TRUE(descendants().empty());
  EXPECT_EQ(waitpid(-1, nullptr, WNOHANG), -1);
}

TEST(CliProcess, SparesWhatItIsToldTo) {
  Spawn what;
  what.arguments = {"/bin/sleep", "100"};
  const Child stranger = spawn(what);
  const auto strangers = descendants();
  const Child ours = spawn(what);
  kill_descendants(strangers);
  EXPECT_EQ(kill(stranger.pid, 0), 0);
  EXPECT_EQ(kill(ours.pid, 0), -1);
  kill_descendants({});
}

TEST(CliProcess, SignalsOneProgramOnly) {
  Spawn what;
  what.arguments = {"/bin/sleep", "100"};
  const Child child = spawn(what);
  const std::string program = std::filesystem::read_symlink("/proc/" + std::to_string(child.pid) + "/exe");
  signal_descendants(SIGKILL, "/bin/no-such-program", {});
  EXPECT_EQ(waitpid(child.pid, nullptr, WNOHANG), 0);
  signal_descendants(SIGKILL, program, {});
  EXPECT_EQ(WTERMSIG(wait_for(child.pid)), SIGKILL);
}

TEST(CliJobFolder, GoesWithWhatIsInIt) {
  const std::string parent = std::filesystem::temp_directory_path();
  std::string path;
  {
    const JobFolder folder(parent);
    path = folder.path();
    std::ofstream(path + "/segment") << "x";
    EXPECT_TRUE(std::filesystem::exists(path + "/segment"));
  }
  EXPECT_FALSE(std::filesystem::exists(path));
  EXPECT_EQ(JobFolder("/no/such/folder").path(), "");
}

// What a killed supervisor has left is old, and nobody holds it.
TEST(CliJobFolder, TakesAwayWhatKilledOnesHaveLeft) {
  namespace fs = std::filesystem;
  const JobFolder parent(fs::temp_directory_path());
  const std::string at = parent.path();
  const JobFolder living(at);
  for (const std::string name : {"argosy-aB3xyz", "argosy-young1", "argosy-longer-name", "other"}) {
    fs::create_directory(at + '/' + name);
    std::ofstream(at + '/' + name + "/segment") << "x";
  }
  for (const std::string& path : {living.path(), at + "/argosy-aB3xyz", at + "/argosy-longer-name", at + "/other"})
    fs::last_write_time(path, fs::file_time_type::clock::now() - std::chrono::hours(1));
  const JobFolder next(at);
  EXPECT_FALSE(fs::exists(at + "/argosy-aB3xyz"));
  for (const std::string& path : {living.path(), at + "/argosy-young1", at + "/argosy-longer-name", at + "/other"})
    EXPECT_TRUE(fs::exists(path)) << path;
}

// A remote shell that knows the hosts good, bare, silent and mute.
class CliDiagnose : public testing::Test {
 protected:
  CliDiagnose() : folder_(std::filesystem::temp_directory_path()), agent_(folder_.path() + "/agent") {
    std::ofstream(agent_) << "#!/bin/sh\n"
                             "case $1 in\n"
                             "good) shift; exec sh -c \"$*\" ;;\n"
                             "silent) exec sleep 100 ;;\n"
                             "mute) exit 1 ;;\n"
                             "*) echo 'some banner' >&2; echo \"$1: Name or service not known\" >&2; exit 255 ;;\n"
                             "esac\n";
    std::filesystem::permissions(agent_, std::filesystem::perms::owner_all);
  }
  std::vector<HostProblem> ask(const std::vector<std::string>& hosts, const std::string& program) const {
    return diagnose(hosts, {agent_}, program, milliseconds(1000));
  }

  JobFolder folder_;
  std::string agent_;
};

TEST_F(CliDiagnose, FindsWhatIsWrong) {
  EXPECT_EQ(ask({"good"}, "/bin/sh"), std::vector<HostProblem>{});
  EXPECT_EQ(ask({"good"}, "/no/ar'gosy"), (std::vector<HostProblem>{{"good", "has no argosy at /no/ar'gosy"}}));
  EXPECT_EQ(ask({"good", "h9", "mute"}, "/bin/sh"),
            (std::vector<HostProblem>{{"h9", "cannot be reached: h9: Name or service not known"},
                                      {"mute", "cannot be reached: the remote shell ended without a word"}}));
}

TEST_F(CliDiagnose, DoesNotWaitForever) {
  EXPECT_EQ(ask({"silent", "good"}, "/bin/sh"),
            (std::vector<HostProblem>{{"silent", "cannot be reached: no answer in time"}}));
}

TEST_F(CliDiagnose, AsksManyHosts) {
  std::vector<std::string> hosts;
  for (int i = 0; i < 200; ++i) hosts.push_back(i % 2 == 0 ? "good" : "bad" + std::to_string(i));
  EXPECT_EQ(diagnose(hosts, {agent_}, "/bin/sh", std::chrono::seconds(30)).size(), 100U);
}

TEST_F(CliDiagnose, AnAgentThatIsNotThere) {
  const auto problems = diagnose({"h1"}, {"/no/such/agent"}, "/bin/sh", milliseconds(1000));
  ASSERT_EQ(problems.size(), 1U);
  EXPECT_NE(problems[0].message.find("No such file"), std::string::npos);
  EXPECT_TRUE(diagnose({"h1"}, {}, "/bin/sh", milliseconds(1000)).empty());
}

TEST(CliDiagnoseQuote, QuotesForShells) {
  EXPECT_EQ(shell_quote("a b"), "'a b'");
  EXPECT_EQ(shell_quote("a'b"), "'a'\\''b'");
}

}  // namespace
}  // namespace argosy::cli
