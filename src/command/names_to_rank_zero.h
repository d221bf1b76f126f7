// Names on their way from the rank that finds them to rank 0, which shows them: --dry-run's. Packed many to a message;
// the end is a message without any.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/transport.h"

namespace argosy::command {

// On every rank, main thread; does nothing where neither end is.
class NamesToRankZero {
 public:
  using Show = std::function<void(const std::string& name)>;
  // `transport` outlives it.
  NamesToRankZero(core::Transport& transport, int finder, Show show);
  ~NamesToRankZero();
  NamesToRankZero(const NamesToRankZero&) = delete;
  NamesToRankZero& operator=(const NamesToRankZero&) = delete;

  // At the finder: a path beneath a destination, with that destination's name before it.
  void add(const std::string& name);
  // No name will come any more. May be called again, and on every rank.
  void end();
  // All has left, and at rank 0 all has come.
  bool done() const;

 private:
  void send();
  void receive();

  core::Transport& transport_;
  int finder_;
  bool here_;   // rank 0 finds them itself
  bool sends_;  // this is the finder, and another rank shows
  Show show_;
  std::vector<std::byte> waiting_;
  std::size_t sending_ = 0;
  bool ended_ = false;
  std::vector<std::byte> buffer_;
  std::optional<core::Transport::Ticket> posted_;  // more may come
};

}  // namespace argosy::command
