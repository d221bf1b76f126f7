#include "command/fetch_output.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <memory>
#include <utility>

#include "base/activity.h"
#include "base/digest.h"
#include "base/interrupt.h"
#include "command/fetch_destination.h"

namespace argosy::command {

namespace {

using base::Kind;

constexpr int kPollMilliseconds = 200;
constexpr std::size_t kSocketBytes = 256 * 1024;

base::Error unwritable(int error_number) {
  return base::system_error(Kind::kDestination, "standard output", error_number, "can't be written");
}

// Waits until `fd` is ready; whoever reads may take his time, that is no stall.
void wait_for(int fd, short events) {
  while (true) {
    pollfd one = {fd, events, 0};
    const int ready = poll(&one, 1, kPollMilliseconds);
    if (ready > 0) return;
    if (ready < 0 && errno != EINTR) throw unwritable(errno);
    if (base::interrupted() != 0) throw unwritable(EINTR);
    base::note_activity();
  }
}

void write_all(const StandardOutput& output, std::span<const std::byte> data) {
  // A pipe that poll(2) calls ready takes so much without blocking; a socket takes what it can.
  const std::size_t most = output.acknowledges ? kSocketBytes : PIPE_BUF;
  while (!data.empty()) {
    wait_for(output.fd.get(), POLLOUT);
    const auto part = data.first(std::min(most, data.size()));
    const ssize_t count = output.acknowledges
                              ? send(output.fd.get(), part.data(), part.size(), MSG_NOSIGNAL | MSG_DONTWAIT)
                              : ::write(output.fd.get(), part.data(), part.size());
    if (count < 0 && (errno == EINTR || errno == EAGAIN || errno == EWOULDBLOCK)) continue;
    if (count < 0) throw unwritable(errno);
    data = data.subspan(static_cast<std::size_t>(count));
    base::note_activity();
  }
}

}  // namespace

FetchOutput::FetchOutput(engine::Workers& workers, std::function<StandardOutput()> open,
                         std::function<void(const Word&)> say, std::function<void(std::uint64_t, std::int64_t)> written)
    : workers_(workers), open_(std::move(open)), say_(std::move(say)), written_(std::move(written)) {}

void FetchOutput::arrived(const engine::MessageUse& message) {
  std::string why;
  const auto view = core::open_chunk(message->bytes(), why);
  if (!view) throw base::Error(Kind::kIntegrity, {}, 0, why);
  std::span<const std::byte> rest = view->payload;
  for (const core::Record& record : view->records) {
    if (record.kind != core::Record::Kind::kData) continue;
    const auto data = rest.first(static_cast<std::size_t>(record.length));
    rest = rest.subspan(data.size());
    if (failure_ || discarded_.contains(record.entry)) continue;
    bodies_[record.entry].extents[record.offset] = {record, data, message};
  }
}

void FetchOutput::end(End end) {
  const std::uint64_t entry = end.entry;
  if (failure_ || discarded_.contains(entry)) return;
  bodies_[entry].end = std::move(end);
}

void FetchOutput::discard(std::uint64_t entry) {
  discarded_.insert(entry);
  // What is being written of it just now is still used.
  if (!writing_) bodies_.erase(entry);
}

bool FetchOutput::step(const std::optional<Head>& head) {
  if (writing_ || failure_ || !head || discarded_.contains(head->entry)) return false;
  const auto found = bodies_.find(head->entry);
  if (found == bodies_.end()) return false;
  const std::uint64_t entry = head->entry;
  Body& body = found->second;
  const auto next = body.extents.find(body.written);
  if (next == body.extents.end()) {
    if (!body.end || body.written < body.end->size) return false;
    finish(entry, body);
    return true;
  }
  if (body.written == 0) {
    // Which checksum it must have its answer tells, just behind its first bytes; of a body without a known end, which
    // goes on before that, whoever fetches it checks what the answer says.
    if (!head->known && body.extents.size() < 2) return false;
    if (const http::Checksum* checksum = http::strongest(head->checksums)) {
      body.checksum = *checksum;
      body.hasher.emplace(checksum->algorithm);
    }
  }
  writing_ = true;
  auto extent = std::make_shared<Extent>(std::move(next->second));
  body.extents.erase(next);
  auto problem = std::make_shared<std::optional<base::Failure>>();
  workers_.post(
      [this, extent, problem, &body] {
        try {
          write(*extent, body);
        } catch (const base::Error& error) {
          *problem = error.failure();
        }
      },
      [this, extent, problem, entry, &body] {
        writing_ = false;
        if (*problem) return fail(**problem);
        body.written += extent->record.length;
        body.sum += extent->record.digest;
        bytes_written_ += extent->record.length;
        written_(entry, body.written);
        if (discarded_.contains(entry)) bodies_.erase(entry);
      });
  return true;
}

void FetchOutput::write(const Extent& extent, Body& body) {
  const core::Record& record = extent.record;
  if (engine::timed_digest(workers_.meter(), extent.data, record.offset) != record.digest) {
    throw base::Error(Kind::kIntegrity, "standard output", 0, "a body was damaged on its way");
  }
  if (!output_) output_ = open_();
  if (body.hasher) body.hasher->add(extent.data);
  const engine::Timed writing(workers_.meter(), engine::Work::kDisk);
  write_all(*output_, extent.data);
}

void FetchOutput::finish(std::uint64_t entry, Body& body) {
  Receipt receipt;
  receipt.entry = entry;
  if (base::close_digest(body.sum, body.end->size) != body.end->digest) {
    receipt.kind = Kind::kIntegrity;
    receipt.message = "the digest of what was written differs from that of what was fetched";
  } else if (body.end->size == 0) {
    receipt.message = unequal(*body.end, [](std::int64_t, std::span<std::byte>) { return std::size_t{0}; });
  } else if (body.hasher) {
    const http::Checksum is = body.hasher->finish();
    if (is != *body.checksum) {
      receipt.message = fmt::format("is {}, and should be {}", http::to_string(is), http::to_string(*body.checksum));
    }
  }
  if (!receipt.message.empty()) receipt.kind = Kind::kIntegrity;
  bodies_.erase(entry);
  discarded_.insert(entry);
  say_(receipt);
}

void FetchOutput::fail(const base::Failure& failure) {
  failure_ = failure;
  bodies_.clear();
}

void FetchOutput::close() {
  if (writing_ || closed_) return;
  writing_ = true;
  auto problem = std::make_shared<std::optional<base::Failure>>();
  workers_.post(
      [this, problem] {
        try {
          // Without a body there is still an output that ends.
          if (!output_) output_ = open_();
          if (output_->acknowledges) {
            char all_there = 0;
            if (shutdown(output_->fd.get(), SHUT_WR) != 0) throw unwritable(errno);
            wait_for(output_->fd.get(), POLLIN);
            if (recv(output_->fd.get(), &all_there, 1, 0) != 1) throw unwritable(EPIPE);
          }
        } catch (const base::Error& error) {
          *problem = error.failure();
        }
        output_.reset();
      },
      [this, problem] {
        writing_ = false;
        closed_ = true;
        if (*problem && !failure_) fail(**problem);
      });
}

}  // namespace argosy::command
