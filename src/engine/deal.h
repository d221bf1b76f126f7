// Work that any rank can do, dealt out by rank 0: `digest` and `verify` go this way. Rank 0 finds the tasks one after
// another, gives each to a rank that has room for one (itself among them), and gets the results in the order of the
// tasks. Tasks and results are bytes. What is held is bounded: a task is found only when one may soon be given out.
//
// Every rank steps its Deal until it is done.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "core/transport.h"
#include "engine/workers.h"

namespace argosy::engine {

using Bytes = std::vector<std::byte>;
inline constexpr std::size_t kDealBytes = 1 << 20;  // the longest task, and the longest result

class Deal {
 public:
  struct Work {
    // Rank 0: the next task; nothing at the end. On an I/O thread, one call at a time. Does not throw.
    std::function<std::optional<Bytes>()> next;
    // Any rank: does a task. On I/O threads, several at once. Does not throw.
    std::function<Bytes(const Bytes&)> work;
    // Rank 0: a result, in the order of the tasks. On the main thread.
    std::function<void(const Bytes&)> result;
  };
  // All outlive it.
  Deal(core::Transport& transport, Workers& workers, Work work);
  ~Deal();
  Deal(const Deal&) = delete;
  Deal& operator=(const Deal&) = delete;

  // Starts what can be started; true when anything was. Throws base::Error (kIntegrity) when a peer breaks the
  // protocol.
  bool step();
  bool done() const;
  // No further task is found.
  void stop() { stopped_ = true; }
  // The rank that this one waits for, or core::kNobody's value.
  int waits_for() const;

 private:
  struct Hand {
    int rank = 0;
    std::size_t tasks = 0;  // given out, without a result yet
    Bytes buffer;
    std::optional<core::Transport::Ticket> posted;
    bool ended = false;
  };
  bool find();
  bool give();
  void work_here(std::uint64_t number, Bytes task);
  void receive_result(Hand& hand);
  void receive_task();
  void finished(std::uint64_t number, Bytes result);

  core::Transport& transport_;
  Workers& workers_;
  Work work_;
  bool root_;
  bool stopped_ = false;
  // Rank 0.
  bool finding_ = false;
  bool found_all_ = false;
  std::uint64_t next_number_ = 0;
  std::map<std::uint64_t, Bytes> found_;
  std::uint64_t next_result_ = 0;
  std::map<std::uint64_t, Bytes> results_;
  std::vector<std::unique_ptr<Hand>> hands_;
  std::size_t sending_ = 0;
  // Every rank.
  std::size_t working_ = 0;
  bool last_told_ = false;
  Bytes task_buffer_;
  std::optional<core::Transport::Ticket> posted_;
};

}  // namespace argosy::engine
