#include "mpi/transport.h"

#include <algorithm>
#include <climits>
#include <utility>

#include "base/error.h"

namespace argosy::mpi {

namespace {

// The one place that narrows a size to MPI's int.
int narrow(std::size_t bytes) {
  if (bytes > static_cast<std::size_t>(INT_MAX)) {
    throw base::Error(base::Kind::kSystem, {}, 0, "a message would be longer than MPI can send");
  }
  return static_cast<int>(bytes);
}

}  // namespace

MpiTransport::MpiTransport(MPI_Comm communicator) : communicator_(communicator) {
  check(MPI_Comm_rank(communicator_, &rank_), "MPI_Comm_rank");
  check(MPI_Comm_size(communicator_, &size_), "MPI_Comm_size");
}

core::Transport::Ticket MpiTransport::add(MPI_Request request, Pending pending) {
  pending.ticket = next_ticket_++;
  requests_.push_back(request);
  pending_.push_back(std::move(pending));
  return pending_.back().ticket;
}

void MpiTransport::send(int to, core::Tag tag, std::span<const std::byte> bytes, Sent sent) {
  MPI_Request request = MPI_REQUEST_NULL;
  check(MPI_Isend(bytes.data(), narrow(bytes.size()), MPI_BYTE, to, static_cast<int>(tag), communicator_, &request),
        "MPI_Isend");
  add(request, {0, std::move(sent), nullptr});
}

core::Transport::Ticket MpiTransport::receive(int from, core::Tag tag, std::span<std::byte> into, Received received) {
  MPI_Request request = MPI_REQUEST_NULL;
  const int source = from == core::kAnyRank ? MPI_ANY_SOURCE : from;
  check(MPI_Irecv(into.data(), narrow(into.size()), MPI_BYTE, source, static_cast<int>(tag), communicator_, &request),
        "MPI_Irecv");
  return add(request, {0, nullptr, std::move(received)});
}

void MpiTransport::cancel(Ticket ticket) {
  const auto found =
      std::find_if(pending_.begin(), pending_.end(), [ticket](const Pending& p) { return p.ticket == ticket; });
  if (found == pending_.end()) {
    // It has completed, and poll() may be about to say so.
    for (Completed& one : completed_) {
      if (one.pending.ticket == ticket) one.pending.received = nullptr;
    }
    return;
  }
  const auto at = found - pending_.begin();
  MPI_Request& request = requests_[static_cast<std::size_t>(at)];
  check(MPI_Cancel(&request), "MPI_Cancel");
  // Completing a cancelled receive is local (MPI 3.1 section 3.8.4).
  check(MPI_Wait(&request, MPI_STATUS_IGNORE), "MPI_Wait");
  requests_.erase(requests_.begin() + at);
  pending_.erase(found);
}

std::size_t MpiTransport::poll() {
  if (requests_.empty()) return 0;
  indices_.resize(requests_.size());
  statuses_.resize(requests_.size());
  int count = 0;
  check(MPI_Testsome(narrow(requests_.size()), requests_.data(), &count, indices_.data(), statuses_.data()),
        "MPI_Testsome");
  if (count <= 0) return 0;
  // Callbacks add and cancel requests: take what has completed out first. Index order is posting order, which is the
  // order in which the messages of one sender came.
  std::vector<std::pair<int, int>> order;
  order.reserve(static_cast<std::size_t>(count));
  for (int i = 0; i < count; ++i) order.emplace_back(indices_[static_cast<std::size_t>(i)], i);
  std::sort(order.begin(), order.end());
  completed_.clear();
  for (const auto& [index, at] : order) {
    Pending& pending = pending_[static_cast<std::size_t>(index)];
    const MPI_Status& status = statuses_[static_cast<std::size_t>(at)];
    int bytes = 0;
    if (pending.received) check(MPI_Get_count(&status, MPI_BYTE, &bytes), "MPI_Get_count");
    completed_.push_back({std::move(pending), status.MPI_SOURCE, static_cast<std::size_t>(bytes)});
  }
  for (auto it = order.rbegin(); it != order.rend(); ++it) {
    requests_.erase(requests_.begin() + it->first);
    pending_.erase(pending_.begin() + it->first);
  }
  for (Completed& one : completed_) {
    if (one.pending.sent) one.pending.sent();
    if (one.pending.received) one.pending.received(one.from, one.bytes);
    // What a callback holds, a slot for one, is free now and not at the next poll.
    one.pending = {};
  }
  completed_.clear();
  return static_cast<std::size_t>(count);
}

std::span<const std::byte> MpiTransport::memory_of(int rank) const {
  const auto found = memory_.find(rank);
  return found == memory_.end() ? std::span<const std::byte>{} : found->second;
}

}  // namespace argosy::mpi
