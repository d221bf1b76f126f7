// Parts of a file: which bytes are there. Few and long, since files are written nearly in order.
#pragma once

#include <cstdint>
#include <vector>

namespace argosy::core {

struct Range {
  std::int64_t begin = 0;
  std::int64_t end = 0;  // one behind the last byte
  friend bool operator==(const Range&, const Range&) = default;
};

// Disjoint ranges in order; those that touch are one.
class Ranges {
 public:
  // False, and nothing is changed, where `range` is empty or overlaps what is there.
  bool add(Range range);
  // What is in both.
  Ranges intersect(const Ranges& other) const;
  // What is missing from [0, `size`), in order.
  std::vector<Range> missing(std::int64_t size) const;
  bool covers(Range range) const;
  // Some of `range` is there.
  bool meets(Range range) const;
  std::int64_t bytes() const;
  bool empty() const { return ranges_.empty(); }
  const std::vector<Range>& all() const { return ranges_; }
  friend bool operator==(const Ranges&, const Ranges&) = default;

 private:
  std::vector<Range> ranges_;
};

}  // namespace argosy::core
