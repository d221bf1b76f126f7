// The table of a stripe, read in parts from whichever folder has them whole: rows are checked one by one, and what one
// folder's table has damaged is taken from the next.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "core/stripe.h"
#include "engine/stripe_client.h"

namespace argosy::engine {

// A folder of a rank.
struct Seen {
  int rank = 0;
  std::uint32_t folder = 0;
};

// Where a stripe's shares and tables have been seen, the best first.
struct Sight {
  std::map<std::uint32_t, std::vector<Seen>> shares;
  std::vector<Seen> tables;
};

class StripeTable {
 public:
  // `client` outlives the table. `key` as in core::encode_row, `payload` as the client's.
  StripeTable(StripeClient& client, const std::vector<Seen>& folders, std::int64_t rows, std::uint64_t key,
              std::size_t payload);

  // Whether the rows from `first` on, `count` of them, are there; asks for them, and for what follows, if not.
  bool has(std::int64_t first, std::int64_t count);
  // Of rows that are there; nothing where no folder has the row whole.
  std::optional<core::Row> row(std::int64_t number) const;
  // Rows before this one are needed no more.
  void drop_before(std::int64_t row);

 private:
  struct Part {
    std::vector<std::optional<core::Row>> rows;
    std::size_t folder = 0;  // the next to be asked
    bool asked = false;
    bool whole = false;
  };
  void want(std::int64_t number);
  void arrived(std::int64_t number, const StripeClient::Answer& answer);

  StripeClient& client_;
  const std::vector<Seen>& folders_;
  std::int64_t rows_;
  std::uint64_t key_;
  std::int64_t rows_a_part_;
  std::map<std::int64_t, Part> parts_;
};

}  // namespace argosy::engine
