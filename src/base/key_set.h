// A set of 64-bit keys, such as hashes of names, in 11 to 22 bytes a key.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace argosy::base {

class KeySet {
 public:
  // False where it is there already.
  bool add(std::uint64_t key);
  bool contains(std::uint64_t key) const;
  std::size_t size() const { return used_; }
  // Gives back what is more than a little.
  void clear();

 private:
  std::size_t place_of(std::uint64_t key) const;
  void grow();

  std::vector<std::uint64_t> slots_;  // a power of two of them, 0: free; searched from where the key says on
  std::size_t used_ = 0;
};

}  // namespace argosy::base
