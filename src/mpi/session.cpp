#include "mpi/session.h"

#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <climits>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <string_view>
#include <thread>
#include <utility>

#include "base/error.h"
#include "base/log.h"
#include "mpi/agreement_state.h"
#include "mpi/shared_window.h"
#include "mpi/transport.h"

namespace argosy::mpi {

namespace {

constexpr std::size_t kLongestHost = 256;
constexpr unsigned kFinalizeSeconds = 3;
constexpr int kSystemExit = static_cast<int>(base::Kind::kSystem);

extern "C" void leave_at_once(int /*signal_number*/) { _exit(kSystemExit); }

// Within `seconds` this process is gone, whatever an MPI call does: MPI_Abort and MPI_Finalize can hang on a lost host.
void arm_exit(unsigned seconds) {
  std::signal(SIGALRM, leave_at_once);
  alarm(seconds);
}

// ARGOSY_RANKS_A_NODE: how many ranks in a row count as a node; 0 where the machines decide.
int ranks_a_node() {
  const char* value = std::getenv("ARGOSY_RANKS_A_NODE");
  if (value == nullptr || *value == '\0') return 0;
  const std::string_view text = value;
  int ranks = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), ranks);
  if (parsed.ec != std::errc() || parsed.ptr != text.data() + text.size() || ranks < 1) {
    throw base::Error(base::Kind::kUsage, {}, 0, "ARGOSY_RANKS_A_NODE is a number of ranks, 1 or more");
  }
  return ranks;
}

// Blocks until `request` is complete. Ranks often outnumber cores, and no MPI yields inside a call that waits: there
// the ranks would keep the very one that they wait for from running.
void wait(MPI_Request request, const char* call) {
  int flag = 0;
  while (true) {
    check(MPI_Test(&request, &flag, MPI_STATUS_IGNORE), call);
    if (flag != 0) return;
    std::this_thread::sleep_for(std::chrono::microseconds(20));
  }
}

}  // namespace

void check(int code, const char* call) {
  if (code == MPI_SUCCESS) return;
  std::array<char, MPI_MAX_ERROR_STRING> text{};
  int length = 0;
  if (MPI_Error_string(code, text.data(), &length) != MPI_SUCCESS) length = 0;
  throw base::Error(base::Kind::kSystem, {}, 0,
                    fmt::format("{}: {}", call, std::string_view(text.data(), static_cast<std::size_t>(length))));
}

std::string library_version() {
  std::array<char, MPI_MAX_LIBRARY_VERSION_STRING> text{};
  int length = 0;
  check(MPI_Get_library_version(text.data(), &length), "MPI_Get_library_version");
  std::string_view all(text.data(), static_cast<std::size_t>(length));
  // MPICH: "MPICH Version:\t4.0.2\nMPICH Release date: ..."; Open MPI: "Open MPI v4.1.4, package: ...".
  all = all.substr(0, all.find('\n'));
  all = all.substr(0, all.find(','));
  std::string line;
  for (const char c : all) line += c == '\t' ? ' ' : c;
  return line;
}

struct Session::Impl {
  MPI_Comm world = MPI_COMM_NULL;
  MPI_Comm node = MPI_COMM_NULL;
  int rank = 0;
  int size = 0;
  std::vector<int> leaders;
  std::vector<std::string> hosts;
  std::optional<MpiTransport> transport;
  std::optional<BallotType> ballot_type;
  std::optional<SharedWindow> window;
};

Session::Session() : impl_(std::make_unique<Impl>()) {
  int running = 0;
  int provided = 0;
  check(MPI_Initialized(&running), "MPI_Initialized");
  if (running != 0) {
    check(MPI_Query_thread(&provided), "MPI_Query_thread");
  } else {
    check(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &provided), "MPI_Init_thread");
  }
  if (provided < MPI_THREAD_FUNNELED) {
    throw base::Error(base::Kind::kSystem, {}, 0, "this MPI can't be used by a program with threads");
  }
  // Errors come back as codes, and end the job with a line that says why.
  check(MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
  MPI_Request request = MPI_REQUEST_NULL;
  check(MPI_Comm_idup(MPI_COMM_WORLD, &impl_->world, &request), "MPI_Comm_idup");
  wait(request, "MPI_Comm_idup");
  check(MPI_Comm_set_errhandler(impl_->world, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
  check(MPI_Comm_rank(impl_->world, &impl_->rank), "MPI_Comm_rank");
  check(MPI_Comm_size(impl_->world, &impl_->size), "MPI_Comm_size");
  impl_->transport.emplace(impl_->world);
  impl_->ballot_type.emplace();

  std::array<char, kLongestHost> name{};
  if (gethostname(name.data(), name.size() - 1) != 0) std::strcpy(name.data(), "unknown");
  std::vector<char> names(kLongestHost * static_cast<std::size_t>(impl_->size));
  check(MPI_Iallgather(name.data(), static_cast<int>(kLongestHost), MPI_CHAR, names.data(),
                       static_cast<int>(kLongestHost), MPI_CHAR, impl_->world, &request),
        "MPI_Iallgather");
  wait(request, "MPI_Iallgather");
  for (int rank = 0; rank < impl_->size; ++rank) {
    impl_->hosts.emplace_back(names.data() + static_cast<std::size_t>(rank) * kLongestHost);
  }

  const int a_node = ranks_a_node();
  if (a_node == 0) {
    check(MPI_Comm_split_type(impl_->world, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &impl_->node),
          "MPI_Comm_split_type");
  } else {
    check(MPI_Comm_split(impl_->world, impl_->rank / a_node, 0, &impl_->node), "MPI_Comm_split");
  }
  check(MPI_Comm_set_errhandler(impl_->node, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
  int leader = impl_->rank;
  check(MPI_Ibcast(&leader, 1, MPI_INT, 0, impl_->node, &request), "MPI_Ibcast");
  wait(request, "MPI_Ibcast");
  impl_->leaders.resize(static_cast<std::size_t>(impl_->size));
  check(MPI_Iallgather(&leader, 1, MPI_INT, impl_->leaders.data(), 1, MPI_INT, impl_->world, &request),
        "MPI_Iallgather");
  wait(request, "MPI_Iallgather");
}

Session::~Session() = default;

int Session::rank() const { return impl_->rank; }
int Session::size() const { return impl_->size; }
const std::string& Session::host(int rank) const { return impl_->hosts.at(static_cast<std::size_t>(rank)); }
const std::vector<std::string>& Session::hosts() const { return impl_->hosts; }
int Session::node_of(int rank) const { return impl_->leaders.at(static_cast<std::size_t>(rank)); }
core::Transport& Session::transport() { return *impl_->transport; }

std::span<std::byte> Session::allocate_pool(std::size_t bytes) {
  impl_->window.emplace(impl_->world, impl_->node, bytes);
  for (const auto& [rank, memory] : impl_->window->visible()) impl_->transport->show_memory(rank, memory);
  return impl_->window->own();
}

std::vector<std::int64_t> Session::exchange(std::int64_t mine) {
  std::vector<std::int64_t> all(static_cast<std::size_t>(impl_->size));
  MPI_Request request = MPI_REQUEST_NULL;
  check(MPI_Iallgather(&mine, 1, MPI_INT64_T, all.data(), 1, MPI_INT64_T, impl_->world, &request), "MPI_Iallgather");
  wait(request, "MPI_Iallgather");
  return all;
}

std::vector<std::string> Session::exchange(const std::string& mine) {
  std::vector<int> lengths;
  std::vector<int> starts;
  int total = 0;
  for (const std::int64_t length : exchange(static_cast<std::int64_t>(mine.size()))) {
    starts.push_back(total);
    lengths.push_back(static_cast<int>(std::min<std::int64_t>(length, INT_MAX)));
    if (length > INT_MAX || __builtin_add_overflow(total, lengths.back(), &total)) {
      throw base::Error(base::Kind::kSystem, {}, 0, "what the ranks tell each other is too long");
    }
  }
  std::vector<char> all(static_cast<std::size_t>(total));
  MPI_Request request = MPI_REQUEST_NULL;
  check(MPI_Iallgatherv(mine.data(), static_cast<int>(mine.size()), MPI_CHAR, all.data(), lengths.data(), starts.data(),
                        MPI_CHAR, impl_->world, &request),
        "MPI_Iallgatherv");
  wait(request, "MPI_Iallgatherv");
  std::vector<std::string> texts;
  for (std::size_t i = 0; i < lengths.size(); ++i) {
    texts.emplace_back(all.data() + starts[i], static_cast<std::size_t>(lengths[i]));
  }
  return texts;
}

double Session::latency(int a, int b) {
  constexpr int kRounds = 40;
  // With more ranks than cores a round may take a time slice of each.
  constexpr std::chrono::milliseconds kEnough(20);
  constexpr int kProbeTag = 100;
  std::array<char, 64> bytes{};
  const auto receive = [&](int peer) {
    MPI_Request request = MPI_REQUEST_NULL;
    check(MPI_Irecv(bytes.data(), static_cast<int>(bytes.size()), MPI_CHAR, peer, kProbeTag, impl_->world, &request),
          "MPI_Irecv");
    for (int flag = 0; flag == 0; std::this_thread::yield()) {
      check(MPI_Test(&request, &flag, MPI_STATUS_IGNORE), "MPI_Test");
    }
  };
  const auto send = [&](int peer) {
    check(MPI_Send(bytes.data(), static_cast<int>(bytes.size()), MPI_CHAR, peer, kProbeTag, impl_->world), "MPI_Send");
  };
  std::int64_t best = INT64_MAX;
  if (impl_->rank == a) {
    const auto begun = std::chrono::steady_clock::now();
    bool more = true;
    for (int round = 1; more; ++round) {
      const auto start = std::chrono::steady_clock::now();
      more = round < kRounds && start - begun < kEnough;
      bytes[0] = more ? 1 : 0;
      send(b);
      receive(b);
      best = std::min<std::int64_t>(best, (std::chrono::steady_clock::now() - start).count());
    }
  } else if (impl_->rank == b) {
    do {
      receive(a);
      send(a);
    } while (bytes[0] != 0);
  }
  const std::int64_t nanoseconds = exchange(best).at(static_cast<std::size_t>(a));
  return static_cast<double>(nanoseconds) / 2e9;
}

Agreement Session::agree(const Verdict& mine) {
  return Agreement(start_agreement(impl_->world, *impl_->ballot_type, mine));
}

std::vector<std::string> Session::gather(const std::string& text, double seconds) {
  const auto give_up = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
  const auto wait = [&](MPI_Request request) {
    int flag = 0;
    while (true) {
      check(MPI_Test(&request, &flag, MPI_STATUS_IGNORE), "MPI_Test");
      if (flag != 0) return;
      if (std::chrono::steady_clock::now() > give_up) {
        throw base::Error(base::Kind::kSystem, {}, 0, "a rank gives no report");
      }
      std::this_thread::sleep_for(std::chrono::microseconds(50));
    }
  };
  const bool root = impl_->rank == 0;
  const auto ranks = static_cast<std::size_t>(impl_->size);
  const int length = static_cast<int>(text.size());
  std::vector<int> lengths(root ? ranks : 0);
  MPI_Request request = MPI_REQUEST_NULL;
  check(MPI_Igather(&length, 1, MPI_INT, lengths.data(), 1, MPI_INT, 0, impl_->world, &request), "MPI_Igather");
  wait(request);
  std::vector<int> starts(lengths.size());
  int total = 0;
  for (std::size_t i = 0; i < lengths.size(); ++i) {
    starts[i] = total;
    if (__builtin_add_overflow(total, lengths[i], &total)) {
      throw base::Error(base::Kind::kSystem, {}, 0, "the ranks' reports are too long");
    }
  }
  std::vector<char> all(static_cast<std::size_t>(total));
  check(MPI_Igatherv(text.data(), length, MPI_CHAR, all.data(), lengths.data(), starts.data(), MPI_CHAR, 0,
                     impl_->world, &request),
        "MPI_Igatherv");
  wait(request);
  std::vector<std::string> texts;
  for (std::size_t i = 0; i < lengths.size(); ++i) {
    texts.emplace_back(all.data() + starts[i], static_cast<std::size_t>(lengths[i]));
  }
  return texts;
}

void Session::end(int code, bool result_stands) {
  std::fflush(nullptr);
  static int exit_code;
  exit_code = code;
  const auto leave_in_time = [] {
    std::signal(SIGALRM, [](int) { _exit(exit_code); });
    alarm(kFinalizeSeconds);
  };
#ifdef MPICH_NAME
  // MPICH 4.0.2's MPI_Finalize over UCX may hang between hosts (pmodels/mpich#6596), and its launcher may take a
  // process that leaves without it for a crash, unless it ends with 0: that is all one to a supervisor, but not to
  // somebody who looks at the launcher's exit code.
  const std::vector<std::string>& hosts = impl_->hosts;
  const bool between_hosts = std::any_of(hosts.begin(), hosts.end(), [&](const auto& one) { return one != hosts[0]; });
  if (result_stands || (code == 0 && between_hosts)) {
    if (!result_stands) {
      leave_in_time();
      impl_->window.reset();
    }
    try {
      MPI_Request request = MPI_REQUEST_NULL;
      check(MPI_Ibarrier(impl_->world, &request), "MPI_Ibarrier");
      wait(request, "MPI_Ibarrier");
    } catch (const base::Error&) {
      // A rank has gone early: nothing is left to wait for.
    }
    _exit(code);
  }
#else
  static_cast<void>(result_stands);
#endif
  leave_in_time();
  impl_->window.reset();
  impl_->ballot_type.reset();
  static_cast<void>(MPI_Comm_free(&impl_->node));
  static_cast<void>(MPI_Comm_free(&impl_->world));
  static_cast<void>(MPI_Finalize());
  // A launcher kills what is left of a job once a rank ends with an error: rank 0's output must have left by then.
  if (code != 0 && impl_->rank != 0) std::this_thread::sleep_for(std::chrono::milliseconds(100));
  _exit(code);
}

void Session::abort(int code) {
  std::fflush(nullptr);
  // A launcher that is told to abort drops what it has not passed on yet, the line that says why included.
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  arm_exit(2);
  static_cast<void>(MPI_Abort(MPI_COMM_WORLD, code));
  _exit(code);
}

}  // namespace argosy::mpi
