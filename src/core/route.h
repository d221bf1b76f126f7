// Routes: for rank r and chunk k, who hands it to me and to whom I hand it on. Pure functions of rank and chunk, no MPI in
// them, so that they can be tested for every size and driven by a simulated clock.
#pragma once

#include <cstdint>
#include <vector>

namespace argosy::core {

inline constexpr int kNobody = -1;

class Route {
 public:
  virtual ~Route() = default;
  // The rank that puts the stream's chunks in, sends the manifest and gets the receipts.
  virtual int root() const = 0;
  // True when the rank writes what it gets.
  virtual bool is_destination(int rank) const = 0;
  // True when any chunk is handed to the rank.
  virtual bool receives(int rank) const = 0;
  // Who hands chunk `chunk` to `rank`: kNobody for the rank that puts it in and for ranks it does not pass.
  virtual int from(int rank, std::uint64_t chunk) const = 0;
  // To whom `rank` hands chunk `chunk`, in the order in which it does.
  virtual std::vector<int> to(int rank, std::uint64_t chunk) const = 0;
  // To whom `rank` sends its manifest answers and receipts (kNobody for the root), and who sends it theirs.
  virtual int receipts_to(int rank) const = 0;
  virtual std::vector<int> receipts_from(int rank) const = 0;
};

// From one rank to another, as `send` goes.
class Direct final : public Route {
 public:
  Direct(int from, int to) : from_(from), to_(to) {}
  int root() const override { return from_; }
  bool is_destination(int rank) const override { return rank == to_; }
  bool receives(int rank) const override { return rank == to_; }
  int from(int rank, std::uint64_t chunk) const override;
  std::vector<int> to(int rank, std::uint64_t chunk) const override;
  int receipts_to(int rank) const override;
  std::vector<int> receipts_from(int rank) const override;

 private:
  int from_;
  int to_;
};

}  // namespace argosy::core
