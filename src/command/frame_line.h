// The line between rank 0 and the others while they fetch: frames of any length, in order, on a stream of bytes that
// travels in messages of a fixed length, one under way to each rank at a time. Rank 0 talks with itself over it, too.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <vector>

#include "core/transport.h"

namespace argosy::command {

class FrameLine {
 public:
  // `from` is the rank whose frames come in, or core::kAnyRank. `arrived` gets each whole frame, with its sender, out
  // of the transport's poll(). `transport` outlives the line.
  FrameLine(core::Transport& transport, core::Tag out, core::Tag in, int from,
            std::function<void(int, std::span<const std::byte>)> arrived);
  ~FrameLine();
  FrameLine(const FrameLine&) = delete;
  FrameLine& operator=(const FrameLine&) = delete;

  void send(int to, std::span<const std::byte> frame);
  // Nothing waits to be sent, or is under way.
  bool idle() const;

 private:
  struct Way {
    std::vector<std::byte> waiting;
    std::vector<std::byte> sending;
    bool under_way = false;
  };
  void listen();
  void take(int from, std::span<const std::byte> bytes);
  void start(int to, Way& way);

  core::Transport& transport_;
  core::Tag out_;
  core::Tag in_;
  int from_;
  std::function<void(int, std::span<const std::byte>)> arrived_;
  std::map<int, Way> ways_;
  std::map<int, std::vector<std::byte>> partial_;  // by sender: what of a frame has come
  std::vector<std::byte> buffer_;
  // One only: two of them might be filled in the order of their lengths, and not of their sending.
  std::optional<core::Transport::Ticket> posted_;
};

}  // namespace argosy::command
