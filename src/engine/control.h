// The small messages of a transfer, along the route's tree: manifest pages go down, and answers and receipts come up,
// summed on the way, so that the root hears one message a page however many destinations there are.
//
// A page is taken from above only when the one before has gone on to every child and this rank's destination has room
// for its entries: the credit that bounds what a manifest makes a rank hold.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <vector>

#include "core/manifest.h"
#include "core/receipt.h"
#include "core/route.h"
#include "core/transport.h"

namespace argosy::engine {

class Control {
 public:
  // Each may be left empty where this rank has no use for it. All are called on the main thread.
  struct Handlers {
    std::function<void(core::Page)> page;               // destinations: the next page
    std::function<bool()> has_room;                     // destinations: may a page come now?
    std::function<void(const core::Answer&)> answer;    // root: what the destinations together want of a page
    std::function<void(const core::Receipt&)> receipt;  // root: what they have together done since the one before
    std::function<void(const core::Answer&)> grant;     // but the root: what the root has decided to move of a page
  };
  // `transport` and `route` outlive it.
  Control(core::Transport& transport, const core::Route& route);
  ~Control();
  Control(const Control&) = delete;
  Control& operator=(const Control&) = delete;

  // Before the first step().
  void set(Handlers handlers) { handlers_ = std::move(handlers); }
  // The root's next page.
  void send_page(const core::Page& page);
  // The root's decision on a page, where others read the source too.
  void send_grant(const core::Answer& grant);
  // This rank's own destination's word on a page.
  void answer(const core::Answer& own);
  // What this rank's own destination has done since it was last asked; it travels with the next receipt.
  void add(const core::Receipt& own);
  // Starts what can be started; true when anything was. Throws base::Error (kIntegrity) when a message is damaged or
  // hostile.
  bool step();
  // This rank's subtree has said its last, and the parent has it.
  bool done() const { return done_; }
  // How many ranks write what they get.
  std::size_t destinations() const { return destinations_; }
  // A child that has not said its last, or core::kNobody.
  int waits_for() const;
  int parent() const { return parent_; }
  // All pages have come.
  bool has_all_pages() const { return last_page_; }

 private:
  struct Child {
    int rank = 0;
    bool last = false;
    std::vector<std::byte> answer_buffer;
    std::vector<std::byte> receipt_buffer;
  };
  struct Vote {
    core::Answer answer;
    std::size_t voices = 0;
  };
  bool receive_page();
  void pass_on(core::Tag tag, std::span<const std::byte> bytes);
  void receive_grant();
  void receive_answer(Child& child);
  void receive_receipt(Child& child);
  void count(const core::Answer& answer);
  bool send_receipt();
  void post(int from, core::Tag tag, std::vector<std::byte>& buffer,
            std::function<void(std::span<const std::byte>)> use);

  core::Transport& transport_;
  int parent_;
  bool takes_part_;
  bool own_destination_;
  std::size_t destinations_ = 0;
  Handlers handlers_;
  std::deque<Child> children_;  // addresses stay
  std::map<std::pair<int, core::Tag>, core::Transport::Ticket> posted_;

  std::vector<std::byte> page_buffer_;
  std::vector<std::byte> grant_buffer_;
  std::uint64_t next_page_ = 0;
  std::uint64_t entries_ = 0;
  bool last_page_ = false;
  std::size_t passing_on_ = 0;
  std::map<std::uint64_t, Vote> votes_;

  core::Receipt receipt_;
  bool own_last_ = false;
  bool receipt_under_way_ = false;
  bool done_ = false;
};

}  // namespace argosy::engine
