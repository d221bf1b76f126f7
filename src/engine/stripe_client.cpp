#include "engine/stripe_client.h"

#include <algorithm>
#include <cerrno>

#include "base/activity.h"
#include "base/error.h"
#include "core/route.h"

namespace argosy::engine {

StripeClient::StripeClient(core::Transport& transport, Pool& pool, Settings settings)
    : transport_(transport), pool_(pool), settings_(settings) {}

StripeClient::~StripeClient() {
  for (const auto& [receive, posted] : posted_) {
    transport_.cancel(posted.ticket);
    pool_.release(posted.slot);
  }
}

bool StripeClient::has_room(int rank, core::Ask ask) const {
  // An open batch is sent as soon as it is full, so it always takes one more.
  if (open_.contains({rank, ask})) return true;
  return unanswered_.size() + open_.size() < settings_.most && pool_.free() > open_.size();
}

void StripeClient::ask(int rank, core::Ask ask, const core::Wanted& wanted, Handler handler) {
  const Key key{rank, ask};
  Batch& batch = open_[key];
  batch.request.ask = ask;
  batch.request.wanted.push_back(wanted);
  batch.handlers.push_back(std::move(handler));
  batch.bytes += ask == core::Ask::kCheck ? 0 : wanted.length;
  // A chunk of this stripe is no longer than what is asked for now, or all chunks have messages of their own.
  const bool full = batch.handlers.size() >= settings_.bundle ||
                    batch.bytes + static_cast<std::size_t>(wanted.chunk_size) > settings_.payload;
  if (full || ask == core::Ask::kTable) send(key);
}

bool StripeClient::flush() {
  const bool any = !open_.empty();
  while (!open_.empty()) send(open_.begin()->first);
  return any;
}

void StripeClient::send(Key key) {
  Batch batch = std::move(open_.extract(key).mapped());
  const std::uint64_t id = next_++;
  batch.request.id = id;
  const int rank = key.first;
  Posted posted;
  posted.rank = rank;
  posted.slot = *pool_.acquire();
  posted.ticket = transport_.receive(rank, core::Tag::kStripeReply, pool_.bytes(posted.slot),
                                     [this, id](int from, std::size_t bytes) { arrived(from, id, bytes); });
  posted_.emplace(id, posted);
  auto message = std::make_shared<std::vector<std::byte>>(core::encode_request(batch.request));
  unanswered_.emplace(id, std::pair(rank, std::move(batch)));
  ++sends_;
  transport_.send(rank, core::Tag::kRequest, *message, [this, message] { --sends_; });
}

// The reply that comes into a receive need not be that of the request that it was posted with.
void StripeClient::arrived(int from, std::uint64_t receive, std::size_t bytes) {
  base::note_activity();
  const std::size_t slot = posted_.extract(receive).mapped().slot;
  const std::shared_ptr<const void> use(nullptr, [this, slot](const void*) { pool_.release(slot); });
  const std::span<const std::byte> message = pool_.bytes(slot).first(bytes);
  const auto reply = core::decode_reply(message);
  const auto found = reply ? unanswered_.find(reply->id) : unanswered_.end();
  if (found == unanswered_.end() || found->second.first != from ||
      found->second.second.handlers.size() != reply->errors.size()) {
    throw base::Error(base::Kind::kIntegrity, {}, 0, "a damaged reply with chunks arrived");
  }
  const Batch batch = std::move(unanswered_.extract(found).mapped().second);
  std::size_t at = core::reply_head_bytes(settings_.bundle);
  for (std::size_t i = 0; i < batch.handlers.size(); ++i) {
    Answer answer;
    answer.error_number = reply->errors[i];
    if (answer.error_number == 0 && batch.request.ask != core::Ask::kCheck) {
      const std::size_t length = batch.request.wanted[i].length;
      if (at > message.size() || length > message.size() - at) {
        answer.error_number = EBADMSG;
      } else {
        answer.bytes = message.subspan(at, length);
        answer.use = use;
        at += length;
      }
    }
    batch.handlers[i](std::move(answer));
  }
}

void StripeClient::end() {
  core::Request request;
  request.ask = core::Ask::kEnd;
  const auto message = std::make_shared<std::vector<std::byte>>(core::encode_request(request));
  for (int rank = 0; rank < transport_.size(); ++rank) {
    ++sends_;
    transport_.send(rank, core::Tag::kRequest, *message, [this, message] { --sends_; });
  }
}

int StripeClient::waits_for() const { return unanswered_.empty() ? core::kNobody : unanswered_.begin()->second.first; }

}  // namespace argosy::engine
