// Reed-Solomon over GF(2^8), by ISA-L: the parity chunks of a group, and its chunks again from any as many of them as
// it has data. The generator is the identity over a Cauchy matrix (gf_gen_cauchy1_matrix), of which every square part
// can be inverted.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

namespace argosy::core {

// Outputs that are sums of inputs, each times a factor. Inputs come one by one, in any order, so that no more of them
// than one need be in memory.
class Combination {
 public:
  // `factors` has a row of `inputs` for each output.
  Combination(int inputs, std::vector<unsigned char> factors);

  int outputs() const { return outputs_; }
  // Adds one input to the outputs, which begin as zeros and are at least as long. Outputs of one input at a time.
  void add(int input, std::span<const std::byte> data, std::span<std::byte* const> outputs) const;

 private:
  int inputs_;
  int outputs_;
  std::vector<unsigned char> tables_;
};

// Parity from data.
Combination encoder(int data, int parity);

// The chunks `lost` of a group from `survivors`, `data` of them: indices as in Cell, data first. Nothing where these
// can't be had from those.
std::optional<Combination> decoder(int data, int parity, std::span<const int> survivors, std::span<const int> lost);

}  // namespace argosy::core
