// Has every chunk of a stripe looked at where it lies, on all ranks at once, and says what could still be had and lost.
// No chunk travels.
#pragma once

#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/stripe_manifest.h"
#include "engine/stripe_client.h"
#include "engine/stripe_table.h"

namespace argosy::engine {

// What was found of a share.
struct ShareState {
  std::int64_t chunks = 0;  // that the table gives it
  std::int64_t right = 0;
  std::int64_t damaged = 0;  // there, and not as they should be
  std::int64_t missing = 0;
  int rank = -1;  // who has most of it
};

class Checker {
 public:
  // All outlive the checker.
  Checker(core::Transport& transport, Pool& pool, const core::StripeManifest& manifest, const Sight& sight,
          StripeClient::Settings settings);

  // Starts what can be started; true when anything was. Throws base::Error when a peer breaks the protocol.
  bool step();
  bool done() const { return ended_ && client_.idle(); }
  void stop() { stopped_ = true; }
  // By share.
  const std::map<std::uint32_t, ShareState>& shares() const { return shares_; }
  // Holders that may still be lost, whichever they are; -1: the file can't be had any more.
  int losses() const { return losses_; }
  std::int64_t bytes() const { return bytes_; }
  // Rows that no folder's table has right: what they tell of can only be had from the others of its group.
  std::int64_t rows_lost() const { return rows_lost_; }
  std::pair<int, std::string> waits_for() const;

 private:
  struct One {
    core::Cell cell;
    core::Row row;
    std::size_t candidate = 0;
    bool seen = false;  // somebody had it, damaged
    bool right = false;
  };
  struct Group {
    std::vector<One> ones;
    std::vector<std::size_t> to_ask;
    std::size_t busy = 0;
    int data = 0;
  };
  using GroupUse = std::shared_ptr<Group>;
  bool open_groups();
  bool ask(const GroupUse& group);
  void answered(const GroupUse& group, std::size_t index, int error_number);
  void finish(const Group& group);

  core::Stripe stripe_;
  const Sight& sight_;
  StripeClient::Settings settings_;
  StripeClient client_;
  StripeTable table_;
  std::int64_t next_group_ = 0;
  std::list<GroupUse> groups_;
  bool stopped_ = false;
  bool ended_ = false;
  std::map<std::uint32_t, ShareState> shares_;
  int losses_;
  std::int64_t bytes_ = 0;
  std::int64_t rows_lost_ = 0;
};

}  // namespace argosy::engine
