// The ring with many origins: for a source that every node sees. Each rank reads every p-th chunk itself and hands
// it, and what comes to it, on to its successor, so that every byte is read once by one rank and each card takes (p -
// 1) / p of them and gives as many: the all-gather around a ring (E. Chan et al., Collective communication: theory,
// practice, and experience, Concurrency and Computation 19 (2007)), once for each round of p chunks.
//
// Round j has the chunks j p to j p + p - 1; the rank at position r puts in chunk j p + r. In each round a rank hands
// on its own chunk first, then what it takes, in order; what it takes last is its successor's own and stops. All
// orders are fixed. n chunks need ceil(n / p) (p - 1) steps, none of them to fill the ring; the stream is filled up
// with empty chunks to whole rounds, so a chunk size that makes whole rounds is worth finding.
//
// Why it can't deadlock when each rank keeps W >= 2 slots for chunks in transit, and one or more besides for those
// that it reads. Let s(r) be how many messages the rank at position r has sent. A rank that can't send either lacks
// the next chunk: it is no own one, for which there is a slot, so it was not sent yet: s(r - 1) < s(r). Or its
// successor has no slot free: of the s(r) chunks sent to it all but the first s(r + 1) - 1 may be there still, so W
// <= s(r) - s(r + 1) + 1, and with W >= 2, s(r + 1) < s(r). Then the successor has all that it needs for its next
// message and must be held up by its own successor in turn, and so on: s falls all the way around, which is
// impossible. So each rank that is held up lacks a chunk, and s rises all the way around, which is impossible as
// well.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "core/chain.h"
#include "core/route.h"

namespace argosy::core {

class Ring final : public Route {
 public:
  // Every rank but the root is a destination; the root is one with `root_takes`. The root sends the manifest; it
  // reads no more of the data than the others.
  Ring(int ranks, int root, bool root_takes) : circle_(ranks, root), root_takes_(root_takes) {}
  int root() const override { return circle_.root(); }
  bool is_destination(int rank) const override { return rank != root() || root_takes_; }
  int origins() const override { return circle_.ranks(); }
  int origin(std::uint64_t chunk) const override;
  std::optional<Hop> incoming(int rank, int lane, std::uint64_t nth) const override;
  std::vector<int> to(int rank, std::uint64_t chunk) const override;
  // Whole rounds.
  std::uint64_t stream_length(std::uint64_t last) const override { return (last / size() + 1) * size(); }
  // Small messages go over a binary tree of positions, not around the ring: an answer passes log2 p ranks instead of
  // p, and no rank has more than two others to listen to.
  int parent(int rank) const override;
  std::vector<int> children(int rank) const override;
  // The `nth` chunk that `rank` comes to hold, its own among them, in the order in which it hands them on.
  std::uint64_t held(int rank, std::uint64_t nth) const;

 private:
  std::uint64_t size() const { return static_cast<std::uint64_t>(circle_.ranks()); }

  Circle circle_;
  bool root_takes_;
};

}  // namespace argosy::core
