// Routes: who hands which chunk to whom, in what order. Pure functions of rank and chunk, no MPI in them, so that they
// can be tested for every size and driven by a simulated clock.
//
// Chunks travel in lanes. A lane is a sequence that does not wait for another: each rank takes the chunks of a lane in
// an order that both it and whoever hands them on know, and keeps slots for each lane, so that a full one never stops
// another. Besides there is one tree for the small messages: manifest pages go down it, answers and receipts come up.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace argosy::core {

inline constexpr int kNobody = -1;

// One chunk's way into a rank.
struct Hop {
  int from = kNobody;
  std::uint64_t chunk = 0;
  friend bool operator==(const Hop&, const Hop&) = default;
};

class Route {
 public:
  virtual ~Route() = default;
  // The rank that sends the manifest and gets the receipts.
  virtual int root() const = 0;
  // True when the rank writes what it gets.
  virtual bool is_destination(int rank) const = 0;
  virtual int lanes() const { return 1; }
  // The lane that a chunk travels on.
  virtual int lane(std::uint64_t /*chunk*/) const { return 0; }
  // How many ranks put chunks in.
  virtual int origins() const { return 1; }
  // The rank that puts the chunk in.
  virtual int origin(std::uint64_t /*chunk*/) const { return root(); }
  // The `nth` chunk (from 0) that is handed to `rank` on `lane`; nothing where no chunk ever comes there.
  virtual std::optional<Hop> incoming(int rank, int lane, std::uint64_t nth) const = 0;
  // To whom `rank` hands the chunk, in the order in which it does.
  virtual std::vector<int> to(int rank, std::uint64_t chunk) const = 0;
  // How many chunks the stream has when `last` is the one that says so.
  virtual std::uint64_t stream_length(std::uint64_t last) const { return last + 1; }
  // The tree of the small messages: kNobody for its root, which is root(), and for ranks that have no part.
  virtual int parent(int rank) const = 0;
  virtual std::vector<int> children(int rank) const = 0;
};

// From one rank to another, as `send` goes.
class Direct final : public Route {
 public:
  Direct(int from, int to) : from_(from), to_(to) {}
  int root() const override { return from_; }
  bool is_destination(int rank) const override { return rank == to_; }
  std::optional<Hop> incoming(int rank, int lane, std::uint64_t nth) const override;
  std::vector<int> to(int rank, std::uint64_t chunk) const override;
  int parent(int rank) const override { return rank == to_ ? from_ : kNobody; }
  std::vector<int> children(int rank) const override { return to(rank, 0); }

 private:
  int from_;
  int to_;
};

// Within one rank, that reads and writes.
class Within final : public Route {
 public:
  explicit Within(int rank) : rank_(rank) {}
  int root() const override { return rank_; }
  bool is_destination(int rank) const override { return rank == rank_; }
  std::optional<Hop> incoming(int /*rank*/, int /*lane*/, std::uint64_t /*nth*/) const override { return std::nullopt; }
  std::vector<int> to(int /*rank*/, std::uint64_t /*chunk*/) const override { return {}; }
  int parent(int /*rank*/) const override { return kNobody; }
  std::vector<int> children(int /*rank*/) const override { return {}; }

 private:
  int rank_;
};

}  // namespace argosy::core
