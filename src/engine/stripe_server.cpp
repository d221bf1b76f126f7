#include "engine/stripe_server.h"

#include <cerrno>
#include <utility>

#include "base/activity.h"
#include "base/error.h"

namespace argosy::engine {

StripeServer::StripeServer(core::Transport& transport, Workers& io, Pool& pool, core::Shelf& shelf, int collector,
                           Settings settings)
    : transport_(transport),
      io_(io),
      pool_(pool),
      shelf_(shelf),
      collector_(collector),
      settings_(settings),
      pacer_(settings.bwlimit),
      buffer_(core::kRequestBytes) {
  receive();
}

StripeServer::~StripeServer() {
  if (ticket_) transport_.cancel(*ticket_);
}

void StripeServer::receive() {
  ticket_ = transport_.receive(collector_, core::Tag::kRequest, buffer_, [this](int, std::size_t bytes) {
    ticket_.reset();
    auto request = core::decode_request(std::span(buffer_).first(bytes), settings_.payload);
    if (!request || request->wanted.size() > settings_.bundle) {
      throw base::Error(base::Kind::kIntegrity, {}, 0, "a damaged request for chunks arrived");
    }
    base::note_activity();
    if (request->ask == core::Ask::kEnd) {
      ended_ = true;
      return;
    }
    waiting_.push_back(std::move(*request));
    receive();
  });
}

bool StripeServer::step() {
  bool any = false;
  while (!waiting_.empty()) {
    const auto slot = pool_.acquire();
    if (!slot) break;
    auto served = std::make_shared<Served>();
    served->request = std::move(waiting_.front());
    waiting_.pop_front();
    served->slot = *slot;
    ++busy_;
    ++reading_;
    io_.post([this, served] { serve(*served); },
             [this, served] {
               --reading_;
               bytes_read_ += served->read;
               ready_.push_back(served);
             });
    any = true;
  }
  while (!ready_.empty() && pacer_.may_send(ready_.front()->bytes)) {
    const std::shared_ptr<Served> served = std::move(ready_.front());
    ready_.pop_front();
    transport_.send(collector_, core::Tag::kStripeReply, pool_.bytes(served->slot).first(served->bytes),
                    [this, served] {
                      --busy_;
                      pool_.release(served->slot);
                      base::note_activity();
                    });
    any = true;
  }
  return any;
}

void StripeServer::read(const core::Wanted& wanted, core::Ask ask, std::span<std::byte> into) {
  const Timed timed(io_.meter(), Work::kSource);
  if (ask == core::Ask::kTable) {
    shelf_.read_table(wanted.folder, wanted.place.number, into);
  } else {
    shelf_.read(wanted.folder, wanted.place, wanted.chunk_size, into);
  }
}

void StripeServer::serve(Served& served) noexcept {
  const core::Request& request = served.request;
  const auto slot = pool_.bytes(served.slot);
  const std::size_t head = core::reply_head_bytes(settings_.bundle);
  served.reply.id = request.id;
  std::size_t at = head;
  for (const core::Wanted& wanted : request.wanted) {
    std::int32_t error_number = 0;
    const auto into = slot.subspan(at, wanted.length);
    try {
      read(wanted, request.ask, into);
      served.read += wanted.length;
      const bool rows = request.ask == core::Ask::kTable;
      if (!rows && timed_digest(io_.meter(), into, wanted.offset) != wanted.digest) error_number = EBADMSG;
    } catch (const base::Error& error) {
      error_number = error.failure().error_number != 0 ? error.failure().error_number : EIO;
    }
    served.reply.errors.push_back(error_number);
    // A chunk that can't be had takes no room: the collector goes by the errors.
    if (error_number == 0 && request.ask != core::Ask::kCheck) at += wanted.length;
    base::note_activity();
  }
  core::encode_reply(served.reply, slot);
  served.bytes = at;
}

}  // namespace argosy::engine
