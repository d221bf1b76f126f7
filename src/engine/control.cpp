#include "engine/control.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "base/activity.h"
#include "base/error.h"

namespace argosy::engine {

namespace {

base::Error broken(std::string why) { return {base::Kind::kIntegrity, {}, 0, std::move(why)}; }

std::size_t count_destinations(const core::Route& route, int ranks) {
  std::size_t count = 0;
  for (int rank = 0; rank < ranks; ++rank) {
    if (route.is_destination(rank)) ++count;
  }
  return count;
}

}  // namespace

Control::Control(core::Transport& transport, const core::Route& route)
    : transport_(transport),
      parent_(route.parent(transport.rank())),
      takes_part_(parent_ != core::kNobody || route.root() == transport.rank()),
      own_destination_(route.is_destination(transport.rank())),
      destinations_(count_destinations(route, transport.size())),
      own_last_(!own_destination_),
      done_(!takes_part_) {
  if (parent_ != core::kNobody) {
    page_buffer_.resize(core::kPageBytes);
    grant_buffer_.resize(core::kAnswerBytes);
    receive_grant();
  }
  for (const int rank : route.children(transport.rank())) {
    Child& child = children_.emplace_back();
    child.rank = rank;
    child.answer_buffer.resize(core::kAnswerBytes);
    child.receipt_buffer.resize(core::kReceiptBytes);
    receive_answer(child);
    receive_receipt(child);
  }
}

Control::~Control() {
  for (const auto& [place, ticket] : posted_) transport_.cancel(ticket);
}

void Control::post(int from, core::Tag tag, std::vector<std::byte>& buffer,
                   std::function<void(std::span<const std::byte>)> use) {
  const auto place = std::make_pair(from, tag);
  posted_[place] =
      transport_.receive(from, tag, buffer, [this, place, &buffer, use = std::move(use)](int, std::size_t bytes) {
        posted_.erase(place);
        base::note_activity();
        use(std::span(buffer).first(bytes));
      });
}

bool Control::step() {
  if (done_) return false;
  const bool page = receive_page();
  return send_receipt() || page;
}

bool Control::receive_page() {
  const bool wanted = parent_ != core::kNobody && !last_page_ && passing_on_ == 0;
  if (!wanted || posted_.contains({parent_, core::Tag::kPage})) return false;
  if (handlers_.has_room && !handlers_.has_room()) return false;
  post(parent_, core::Tag::kPage, page_buffer_, [this](std::span<const std::byte> bytes) {
    std::string why;
    auto page = core::decode_page(bytes, why);
    if (!page) throw broken(why);
    if (page->number != next_page_ || page->first != entries_) throw broken("a manifest page came out of its order");
    pass_on(core::Tag::kPage, bytes);
    ++next_page_;
    entries_ += page->entries.size();
    last_page_ = page->last;
    const core::Answer nothing{page->number, std::vector<bool>(page->entries.size(), false)};
    if (handlers_.page) handlers_.page(std::move(*page));
    // A rank that only hands on, at the end of the way, wants nothing.
    const bool nobody_asked = !own_destination_ && children_.empty();
    if (nobody_asked && !last_page_) count(nothing);
  });
  return true;
}

void Control::pass_on(core::Tag tag, std::span<const std::byte> bytes) {
  if (children_.empty()) return;
  auto copy = std::make_shared<const std::vector<std::byte>>(bytes.begin(), bytes.end());
  for (const Child& child : children_) {
    ++passing_on_;
    transport_.send(child.rank, tag, *copy, [this, copy] {
      --passing_on_;
      base::note_activity();
    });
  }
}

void Control::send_page(const core::Page& page) {
  pass_on(core::Tag::kPage, core::encode_page(page));
  last_page_ = page.last;
  if (handlers_.page) handlers_.page(page);
}

void Control::send_grant(const core::Answer& grant) { pass_on(core::Tag::kGrant, core::encode_answer(grant)); }

void Control::receive_grant() {
  post(parent_, core::Tag::kGrant, grant_buffer_, [this](std::span<const std::byte> bytes) {
    const auto grant = core::decode_answer(bytes);
    if (!grant) throw broken("a manifest grant was damaged on its way");
    pass_on(core::Tag::kGrant, bytes);
    receive_grant();
    if (handlers_.grant) handlers_.grant(*grant);
  });
}

void Control::receive_answer(Child& child) {
  post(child.rank, core::Tag::kAnswer, child.answer_buffer, [this, &child](std::span<const std::byte> bytes) {
    const auto answer = core::decode_answer(bytes);
    if (!answer) throw broken("a manifest answer was damaged on its way");
    receive_answer(child);
    count(*answer);
  });
}

void Control::answer(const core::Answer& own) { count(own); }

void Control::count(const core::Answer& answer) {
  Vote& vote = votes_[answer.page];
  if (vote.voices == 0) {
    vote.answer = answer;
  } else {
    if (vote.answer.wanted.size() != answer.wanted.size()) throw broken("a manifest answer is about another page");
    vote.answer = core::combine(vote.answer, answer);
  }
  if (++vote.voices < children_.size() + (own_destination_ ? 1U : 0U)) return;
  const core::Answer together = std::move(votes_.extract(answer.page).mapped().answer);
  if (parent_ == core::kNobody) {
    if (handlers_.answer) handlers_.answer(together);
    return;
  }
  auto bytes = std::make_shared<const std::vector<std::byte>>(core::encode_answer(together));
  transport_.send(parent_, core::Tag::kAnswer, *bytes, [bytes] {});
}

void Control::receive_receipt(Child& child) {
  post(child.rank, core::Tag::kReceipt, child.receipt_buffer, [this, &child](std::span<const std::byte> bytes) {
    const auto receipt = core::decode_receipt(bytes);
    if (!receipt) throw broken("a receipt was damaged on its way");
    child.last = receipt->last;
    receipt_ += *receipt;
    if (!child.last) receive_receipt(child);
  });
}

void Control::add(const core::Receipt& own) {
  own_last_ = own_last_ || own.last;
  receipt_ += own;
}

bool Control::send_receipt() {
  if (receipt_under_way_) return false;
  core::Receipt receipt = std::exchange(receipt_, {});
  if (receipt.failed.size() > core::kFailuresAReceipt) {
    receipt_.failed.assign(receipt.failed.begin() + core::kFailuresAReceipt, receipt.failed.end());
    receipt.failed.resize(core::kFailuresAReceipt);
  }
  receipt.last = own_last_ && last_page_ && receipt_.failed.empty() &&
                 std::all_of(children_.begin(), children_.end(), [](const Child& child) { return child.last; });
  if (receipt.empty()) return false;
  if (parent_ == core::kNobody) {
    done_ = receipt.last;
    if (handlers_.receipt) handlers_.receipt(receipt);
    return true;
  }
  receipt_under_way_ = true;
  auto bytes = std::make_shared<const std::vector<std::byte>>(core::encode_receipt(receipt));
  transport_.send(parent_, core::Tag::kReceipt, *bytes, [this, bytes, last = receipt.last] {
    receipt_under_way_ = false;
    done_ = last;
  });
  return true;
}

int Control::waits_for() const {
  for (const Child& child : children_) {
    if (!child.last) return child.rank;
  }
  return core::kNobody;
}

}  // namespace argosy::engine
