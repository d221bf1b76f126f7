// The main of mpi_tests: GoogleTest on every rank at once. Rank 0 prints as usual, the others only their failures, each
// line with the rank before it; all ranks end with the same code. A rank stuck in one test for kStuckSeconds (another
// rank left a collective by a failed ASSERT, say) prints the test's name and ends, whereupon the launcher ends the
// others.
#include <gtest/gtest.h>
#include <mpi.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <string>

namespace {

constexpr unsigned kStuckSeconds = 30;
std::array<char, 256> stuck_message = {};

// Async-signal-safe: one write, then out.
void on_alarm(int /*signal*/) {
  if (write(STDERR_FILENO, stuck_message.data(), std::strlen(stuck_message.data())) < 0) _exit(7);
  _exit(6);
}

class Watch : public testing::EmptyTestEventListener {
 public:
  explicit Watch(int rank) : rank_(rank) {}

 private:
  void OnTestStart(const testing::TestInfo& test) override {
    std::snprintf(stuck_message.data(), stuck_message.size(), "[rank %d] stuck in %s.%s for %u s: ending the job\n",
                  rank_, test.test_suite_name(), test.name(), kStuckSeconds);
    alarm(kStuckSeconds);
  }
  void OnTestEnd(const testing::TestInfo& /*test*/) override { alarm(0); }

  int rank_;
};

class Quiet : public testing::EmptyTestEventListener {
 public:
  explicit Quiet(int rank) : rank_(rank) {}

 private:
  void OnTestPartResult(const testing::TestPartResult& result) override {
    if (!result.failed()) return;
    const std::string text = "[rank " + std::to_string(rank_) + "] " +
                             (result.file_name() != nullptr ? result.file_name() : "?") + ":" +
                             std::to_string(result.line_number()) + ": " + result.summary() + "\n";
    std::fputs(text.c_str(), stderr);
  }

  int rank_;
};

}  // namespace

int main(int argc, char** argv) {
  int provided = 0;
  MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &provided);
  int rank = 0;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  testing::InitGoogleTest(&argc, argv);
  std::signal(SIGALRM, on_alarm);

  testing::TestEventListeners& listeners = testing::UnitTest::GetInstance()->listeners();
  if (rank != 0) {
    delete listeners.Release(listeners.default_result_printer());
    listeners.Append(new Quiet(rank));  // GoogleTest owns its listeners
  }
  listeners.Append(new Watch(rank));

  int failed = RUN_ALL_TESTS();
  std::snprintf(stuck_message.data(), stuck_message.size(), "[rank %d] stuck at the end for %u s: ending the job\n",
                rank, kStuckSeconds);
  alarm(kStuckSeconds);
  int any_failed = 0;
  MPI_Allreduce(&failed, &any_failed, 1, MPI_INT, MPI_MAX, MPI_COMM_WORLD);
  MPI_Finalize();
  return any_failed != 0 ? 1 : 0;
}
