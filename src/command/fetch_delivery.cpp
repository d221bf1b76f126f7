#include "command/fetch_delivery.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "base/activity.h"
#include "base/bytes.h"
#include "base/error.h"
#include "core/chunk.h"
#include "core/route.h"

namespace argosy::command {

namespace {

constexpr std::size_t kPostedAhead = 4;
// As between other ranks (engine/relay.h): more messages under way to one card only delay each.
constexpr int kInFlight = 2;

}  // namespace

Delivery::Delivery(core::Transport& transport, Settings settings, engine::Pool& entering, engine::Pool& transit,
                   std::function<void(const engine::MessageUse&)> arrived)
    : transport_(transport),
      settings_(std::move(settings)),
      entering_(entering),
      transit_(transit),
      arrived_(std::move(arrived)),
      members_(static_cast<int>(settings_.members.size())),
      credits_(settings_.credits),
      credit_buffer_(sizeof(std::uint32_t)),
      pacer_(settings_.bwlimit) {
  const auto found = std::find(settings_.members.begin(), settings_.members.end(), transport_.rank());
  if (found != settings_.members.end()) position_ = static_cast<int>(found - settings_.members.begin());
  if (is_member() && members_ > 1) receive_credits();
}

Delivery::~Delivery() {
  for (const auto& [slot, ticket] : entering_posted_) transport_.cancel(ticket);
  for (const auto& [slot, ticket] : transit_posted_) transport_.cancel(ticket);
  if (credit_receive_) transport_.cancel(*credit_receive_);
}

int Delivery::successor() const {
  if (!is_member())
    return settings_.members[static_cast<std::size_t>(settings_.homes[static_cast<std::size_t>(transport_.rank())])];
  return settings_.members[static_cast<std::size_t>((position_ + 1) % members_)];
}

void Delivery::put(engine::MessageUse message) {
  if (is_member()) return enter(message);
  passing_.push_back(std::move(message));
}

void Delivery::enter(const engine::MessageUse& message) {
  ++entered_;
  if (members_ > 1) own_.push_back(message);
  arrived_(message);
}

bool Delivery::listen() {
  if (!is_member()) return false;
  bool any = false;
  const auto post = [&](engine::Pool& pool, auto& posted, int from, core::Tag tag, auto received) {
    while (posted.size() < kPostedAhead) {
      const auto slot = pool.acquire();
      if (!slot) return;
      any = true;
      posted[*slot] =
          transport_.receive(from, tag, pool.bytes(*slot), [&pool, &posted, slot, received](int, std::size_t bytes) {
            posted.erase(*slot);
            base::note_activity();
            received(*slot, pool.bytes(*slot).first(bytes));
          });
    }
  };
  // Ranks that are no members: as long as there are any.
  if (transport_.size() > members_) {
    post(entering_, entering_posted_, core::kAnyRank, core::Tag::kChunk,
         [this](std::size_t slot, std::span<const std::byte> bytes) {
           enter(std::make_shared<const engine::Message>(static_cast<std::uint64_t>(position_), bytes,
                                                         [this, slot] { entering_.release(slot); }));
         });
  }
  if (members_ == 1) return any;
  const int predecessor = settings_.members[static_cast<std::size_t>((position_ + members_ - 1) % members_)];
  post(transit_, transit_posted_, predecessor, core::Tag::kSecondLane,
       [this](std::size_t slot, std::span<const std::byte> bytes) {
         // The head says through whom it entered; what is damaged can't be followed.
         std::string why;
         const auto view = core::open_chunk(bytes, why);
         if (!view || view->head.index >= static_cast<std::uint64_t>(members_)) {
           throw base::Error(base::Kind::kIntegrity, {}, 0, why.empty() ? "a chunk has lost its way" : why);
         }
         ++passed_;
         auto message = std::make_shared<const engine::Message>(view->head.index, bytes, [this, slot] {
           transit_.release(slot);
           ++credits_to_give_;
         });
         if ((position_ + 1) % members_ != static_cast<int>(view->head.index)) passing_.push_back(message);
         arrived_(message);
       });
  return any;
}

void Delivery::receive_credits() {
  credit_receive_ = transport_.receive(successor(), core::Tag::kRelease, credit_buffer_, [this](int, std::size_t) {
    credit_receive_.reset();
    credits_ += base::Reader(credit_buffer_).get<std::uint32_t>();
    if (credits_ > settings_.credits) {
      throw base::Error(base::Kind::kIntegrity, {}, 0, "a neighbour gave back slots that it did not have");
    }
    base::note_activity();
    receive_credits();
  });
}

void Delivery::give_credit() {
  if (credits_to_give_ == 0 || giving_) return;
  giving_ = true;
  auto bytes = std::make_shared<std::vector<std::byte>>();
  base::Writer(*bytes).put(std::exchange(credits_to_give_, 0));
  const int predecessor = settings_.members[static_cast<std::size_t>((position_ + members_ - 1) % members_)];
  transport_.send(predecessor, core::Tag::kRelease, *bytes, [this, bytes] { giving_ = false; });
}

void Delivery::send(int to, core::Tag tag, const engine::MessageUse& message) {
  ++in_flight_;
  transport_.send(to, tag, message->bytes(), [this, message] {
    --in_flight_;
    base::note_activity();
  });
}

bool Delivery::step() {
  bool any = listen();
  give_credit();
  const core::Tag tag = is_member() ? core::Tag::kSecondLane : core::Tag::kChunk;
  while (in_flight_ < kInFlight) {
    // In transit a chunk takes the free slot with it; to enter it must leave one.
    const bool pass = !passing_.empty() && (!is_member() || credits_ >= 1);
    const bool enter = !pass && !own_.empty() && credits_ >= 2;
    if (!pass && !enter) break;
    std::deque<engine::MessageUse>& from = pass ? passing_ : own_;
    if (!pacer_.may_send(from.front()->bytes().size())) break;
    if (is_member()) --credits_;
    send(successor(), tag, from.front());
    from.pop_front();
    any = true;
  }
  return any;
}

bool Delivery::done() const {
  if (!passing_.empty() || !own_.empty() || in_flight_ > 0 || giving_ || credits_to_give_ > 0) return false;
  if (!is_member()) return true;
  if (expected_.empty() || entered_ != expected_[static_cast<std::size_t>(position_)]) return false;
  if (members_ == 1) return true;
  const std::uint64_t all = std::accumulate(expected_.begin(), expected_.end(), std::uint64_t{0});
  return passed_ == all - entered_ && credits_ == settings_.credits;
}

int Delivery::waits_for() const {
  return in_flight_ > 0 || !passing_.empty() || !own_.empty() ? successor() : core::kNobody;
}

void Delivery::sample(double passed) {
  if (in_flight_ > 0) busy_ += passed;
}

}  // namespace argosy::command
