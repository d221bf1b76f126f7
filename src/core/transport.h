// Messages between ranks, as the engine sees them: one thread, nothing blocks, completions come out of poll().
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>

namespace argosy::core {

// One tag a kind of message, as the first of these systems had them: metadata, data (which carries the explicit end),
// and what comes back. Chunks of the second lane have a tag of their own, since lanes don't wait for each other. Where
// rank 0 deals work out as it goes, its orders go down and the ranks' words come up (fetch), or tasks and what came of
// them (verify, digest).
enum class Tag : int {
  kPage = 1,
  kAnswer,
  kGrant,
  kChunk,
  kSecondLane,
  kRelease,
  kReceipt,
  kStatus,
  kReply,
  kStripe,
  kStripeReceipt,
  kTable,
  kRequest,
  kStripeReply,
  kOrder,
  kWord,
  kTask,
  kDone
};
inline constexpr int kMostLanes = 2;

inline constexpr int kAnyRank = -2;

class Transport {
 public:
  using Ticket = std::uint64_t;
  using Sent = std::function<void()>;
  using Received = std::function<void(int from, std::size_t bytes)>;

  virtual ~Transport() = default;
  virtual int rank() const = 0;
  virtual int size() const = 0;
  // Starts to send; `bytes` stay the transport's until `sent` has been called, out of poll().
  virtual void send(int to, Tag tag, std::span<const std::byte> bytes, Sent sent) = 0;
  // Posts a receive for one message of at most into.size() bytes. Messages of one sender and tag arrive in order.
  virtual Ticket receive(int from, Tag tag, std::span<std::byte> into, Received received) = 0;
  // Takes a posted receive back; its `received` is never called.
  virtual void cancel(Ticket ticket) = 0;
  // Calls what has completed; how many that were.
  virtual std::size_t poll() = 0;
  // The memory that `rank` lends its neighbours on this node; empty where it is not to be seen from here. Two ranks
  // that move chunks see each other's, or neither sees the other's.
  virtual std::span<const std::byte> memory_of(int rank) const = 0;
};

}  // namespace argosy::core
