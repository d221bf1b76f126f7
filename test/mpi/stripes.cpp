// Scatter, lose, gather: the commands as they are, on however many ranks there are, with files on this host.
#include <gtest/gtest.h>

#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <random>
#include <string>

#include "command/gather.h"
#include "command/repair.h"
#include "command/scatter.h"
#include "command/verify.h"
#include "core/stripe.h"
#include "mpi/session.h"

namespace argosy {
namespace {

namespace fs = std::filesystem;

std::string noise(std::size_t bytes) {
  std::mt19937 generator(1);
  std::string text(bytes, '\0');
  for (char& c : text) c = static_cast<char>(generator());
  return text;
}

std::string content_of(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// A folder that all ranks know, gone at the end.
class Stripes : public testing::Test {
 protected:
  void SetUp() override {
    const auto base = fs::is_directory("/dev/shm") ? fs::path("/dev/shm") : fs::temp_directory_path();
    mpi::Session session;
    rank_ = session.rank();
    size_ = session.size();
    place_ = base / ("argosy-mpi-" + session.exchange(std::to_string(getpid()))[0]);
    if (rank_ == 0) fs::create_directories(place_);
    session.exchange(0);
  }
  void TearDown() override {
    mpi::Session session;
    session.exchange(0);
    if (rank_ == 0) fs::remove_all(place_);
  }

  command::Options options() const {
    command::Options options;
    options.start_directory = place_;
    return options;
  }

  int scatter(const std::string& content, std::int64_t chunk_size, int parity, bool root_too) {
    if (rank_ == 0) std::ofstream(place_ / "f", std::ios::binary) << content;
    command::Options all = options();
    all.common.chunk_size = chunk_size;
    command::ScatterOptions asked;
    asked.files = {"f"};
    asked.directory = "w%r";
    asked.parity = parity;
    asked.root_too = root_too;
    mpi::Session session;
    session.exchange(0);  // the file is there
    return command::scatter(all, asked, session, {}).exit;
  }

  int gather(int to) {
    command::GatherOptions asked;
    asked.directory = "w%r";
    asked.name = "f";
    asked.out = "back";
    asked.to = to;
    mpi::Session session;
    return command::gather(options(), asked, session, {}).exit;
  }

  void lose(int worker) {
    mpi::Session session;
    if (rank_ == 0) fs::remove_all(place_ / ("w" + std::to_string(worker)));
    session.exchange(0);
  }

  int rank_ = 0;
  int size_ = 0;
  fs::path place_;
};

TEST_F(Stripes, ComeBackOnAnyRank) {
  const std::string content = noise(3'000'001);
  for (const std::int64_t chunk_size : {1000, 70'000, 262'144}) {
    if (size_ == 1) {
      EXPECT_EQ(scatter(content, chunk_size, 0, false), 2);
      continue;
    }
    ASSERT_EQ(scatter(content, chunk_size, 0, size_ == 2), 0);
    for (int to = 0; to < size_; ++to) {
      ASSERT_EQ(gather(to), 0);
      EXPECT_EQ(content_of(place_ / "back"), content);
    }
  }
}

TEST_F(Stripes, AreMadeAgainAndRepaired) {
  if (size_ < 3) GTEST_SKIP() << "two workers are needed";
  const std::string content = noise(2'000'003);
  ASSERT_EQ(scatter(content, 65'536, 1, false), 0);
  lose(1);
  ASSERT_EQ(gather(size_ - 1), 0);
  EXPECT_EQ(content_of(place_ / "back"), content);
  command::RepairOptions repair;
  repair.directory = "w%r";
  repair.name = "f";
  {
    mpi::Session session;
    ASSERT_EQ(command::repair(options(), repair, session, {}).exit, 0);
  }
  command::VerifyOptions verify;
  verify.against = command::VerifyOptions::Against::kStripes;
  verify.stripe.directory = "w%r";
  verify.stripe.name = "f";
  {
    mpi::Session session;
    const command::Report report = command::verify(options(), verify, session, {});
    EXPECT_EQ(report.exit, 0);
    if (rank_ == 0) EXPECT_EQ(report.stripe.value().losses, 1);
  }
  lose(2);
  ASSERT_EQ(gather(0), 0);
  EXPECT_EQ(content_of(place_ / "back"), content);
}

}  // namespace
}  // namespace argosy
