// Answers for the folders of a stripe that this rank sees: reads chunks and rows of the table for whoever collects
// them, or only looks whether they are right. One rank at a time collects; it tells the end.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "core/stripe_endpoint.h"
#include "core/stripe_wire.h"
#include "core/transport.h"
#include "engine/pacer.h"
#include "engine/pool.h"
#include "engine/workers.h"

namespace argosy::engine {

class StripeServer {
 public:
  struct Settings {
    std::size_t payload = 0;  // bytes of chunks that a slot holds behind a reply's head
    std::size_t bundle = 1;   // chunks in a reply
    std::int64_t bwlimit = 0;
  };
  // All outlive the server. `collector` is the rank that asks.
  StripeServer(core::Transport& transport, Workers& io, Pool& pool, core::Shelf& shelf, int collector,
               Settings settings);
  ~StripeServer();
  StripeServer(const StripeServer&) = delete;
  StripeServer& operator=(const StripeServer&) = delete;

  // Starts what can be started; true when anything was. Throws base::Error when a request is damaged.
  bool step();
  // The end has been told and every reply has left.
  bool done() const { return ended_ && waiting_.empty() && ready_.empty() && busy_ == 0; }
  std::int64_t bytes_read() const { return bytes_read_; }
  bool is_reading() const { return reading_ > 0; }

 private:
  struct Served {
    core::Request request;
    core::Reply reply;
    std::size_t slot = 0;
    std::size_t bytes = 0;  // of the whole message
    std::int64_t read = 0;
  };
  void receive();
  void serve(Served& served) noexcept;
  void read(const core::Wanted& wanted, core::Ask ask, std::span<std::byte> into);

  core::Transport& transport_;
  Workers& io_;
  Pool& pool_;
  core::Shelf& shelf_;
  int collector_;
  Settings settings_;
  Pacer pacer_;
  std::vector<std::byte> buffer_;
  std::optional<core::Transport::Ticket> ticket_;
  std::deque<core::Request> waiting_;
  std::deque<std::shared_ptr<Served>> ready_;
  std::size_t busy_ = 0;  // being read or sent
  std::size_t reading_ = 0;
  bool ended_ = false;
  std::int64_t bytes_read_ = 0;
};

}  // namespace argosy::engine
