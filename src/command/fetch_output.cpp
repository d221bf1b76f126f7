#include "command/fetch_output.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdlib>
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
constexpr std::size_t kSpoolPart = 1 << 20;

base::Error unwritable(int error_number) {
  return base::system_error(Kind::kDestination, "standard output", error_number, "can't be written");
}

// Waits until `fd` is ready for one of `events`, and says for which; whoever reads may take his time, that is no stall.
short wait_for(int fd, short events) {
  while (true) {
    pollfd one = {fd, events, 0};
    const int ready = poll(&one, 1, kPollMilliseconds);
    if (ready > 0) return one.revents;
    if (ready < 0 && errno != EINTR) throw unwritable(errno);
    if (base::interrupted() != 0) throw unwritable(EINTR);
    base::note_activity();
  }
}

// What whoever writes it out has to say (cli/pump.h): that all of it is there, or why it can't be.
void take_answer(int fd) {
  char answer = 0;
  if (recv(fd, &answer, 1, 0) != 1) throw unwritable(EPIPE);
  if (answer != '!') throw unwritable(static_cast<unsigned char>(answer));
}

void write_all(const StandardOutput& output, std::span<const std::byte> data) {
  // A pipe that poll(2) calls ready takes so much without blocking; a socket takes what it can.
  const std::size_t most = output.acknowledges ? kSocketBytes : PIPE_BUF;
  const short events = output.acknowledges ? POLLOUT | POLLIN : POLLOUT;
  while (!data.empty()) {
    if ((wait_for(output.fd.get(), events) & POLLIN) != 0) take_answer(output.fd.get());
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

base::Error spool_error(int error_number, const char* what) {
  return base::system_error(Kind::kDestination, "a temporary file (TMPDIR)", error_number, what);
}

// A file that nobody else sees, and that is gone with this process.
base::Fd make_spool() {
  const char* set = std::getenv("TMPDIR");
  const std::string folder = set != nullptr && *set != '\0' ? set : "/tmp";
  base::Fd fd(open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  if (fd.valid()) return fd;
  std::string name = folder + "/argosy-XXXXXX";
  fd = base::Fd(mkostemp(name.data(), O_CLOEXEC));
  if (!fd.valid()) throw spool_error(errno, "can't be made");
  static_cast<void>(unlink(name.c_str()));
  return fd;
}

void put_all(int fd, std::span<const std::byte> data, std::int64_t offset) {
  while (!data.empty()) {
    const ssize_t put = pwrite(fd, data.data(), data.size(), offset);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) throw spool_error(errno, "can't be written");
    data = data.subspan(static_cast<std::size_t>(put));
    offset += put;
    base::note_activity();
  }
}

}  // namespace

FetchOutput::FetchOutput(engine::Workers& workers, std::function<StandardOutput()> open,
                         std::function<void(const Word&)> say, Written written)
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
    body(record.entry).extents[record.offset] = {record, data, message};
  }
}

FetchOutput::Body& FetchOutput::body(std::uint64_t entry) {
  std::shared_ptr<Body>& one = bodies_[entry];
  if (!one) one = std::make_shared<Body>();
  return *one;
}

void FetchOutput::end(End end) {
  const std::uint64_t entry = end.entry;
  if (failure_ || discarded_.contains(entry)) return;
  body(entry).end = std::move(end);
}

void FetchOutput::discard(std::uint64_t entry) {
  discarded_.insert(entry);
  // What is being written of it just now is still used.
  if (!writing_) forget(entry);
}

// Slots come back on the main thread, and files are closed on an I/O thread.
void FetchOutput::forget(std::uint64_t entry) {
  const auto found = bodies_.find(entry);
  if (found == bodies_.end()) return;
  std::shared_ptr<Body> body = std::move(found->second);
  bodies_.erase(found);
  body->extents.clear();
  if (!body->spool.valid()) return;
  workers_.post([body] { static_cast<void>(body->spool.close()); }, [] {});
}

bool FetchOutput::step(const std::optional<Head>& head) {
  if (writing_ || failure_ || !head || discarded_.contains(head->entry)) return false;
  const auto found = bodies_.find(head->entry);
  // Whether it must have a checksum the head of its answer tells.
  if (found == bodies_.end() || !head->known) return false;
  const std::uint64_t entry = head->entry;
  const std::shared_ptr<Body> body = found->second;
  const auto next = body->extents.find(body->written);
  if (next == body->extents.end()) {
    if (!body->end || body->written < body->end->size) return false;
    finish(entry);
    return true;
  }
  if (body->written == 0) body->checked = head->checked;
  writing_ = true;
  auto extent = std::make_shared<Extent>(std::move(next->second));
  body->extents.erase(next);
  auto problem = std::make_shared<std::optional<base::Failure>>();
  workers_.post(
      [this, extent, problem, body] {
        try {
          write(*extent, *body);
        } catch (const base::Error& error) {
          *problem = error.failure();
        }
      },
      [this, extent, problem, entry, body] {
        writing_ = false;
        if (*problem) return fail(**problem);
        body->written += extent->record.length;
        body->sum += extent->record.digest;
        if (!body->checked) bytes_written_ += extent->record.length;
        written_(entry, body->written, !body->checked);
        if (discarded_.contains(entry)) forget(entry);
      });
  return true;
}

void FetchOutput::write(const Extent& extent, Body& body) {
  const core::Record& record = extent.record;
  if (engine::timed_digest(workers_.meter(), extent.data, record.offset) != record.digest) {
    throw base::Error(Kind::kIntegrity, "standard output", 0, "a body was damaged on its way");
  }
  if (!body.checked) {
    if (!output_) output_ = open_();
    const engine::Timed writing(workers_.meter(), engine::Work::kDisk);
    return write_all(*output_, extent.data);
  }
  const engine::Timed writing(workers_.meter(), engine::Work::kDisk);
  if (!body.spool.valid()) body.spool = make_spool();
  put_all(body.spool.get(), extent.data, record.offset);
}

void FetchOutput::write_spooled(const Body& body) {
  if (!output_) output_ = open_();
  const engine::Timed writing(workers_.meter(), engine::Work::kDisk);
  std::vector<std::byte> buffer(kSpoolPart);
  for (std::int64_t at = 0; at < body.written;) {
    const ssize_t got = pread(body.spool.get(), buffer.data(), buffer.size(), at);
    if (got < 0 && errno == EINTR && base::interrupted() == 0) continue;
    if (got <= 0) throw spool_error(got < 0 ? errno : EIO, "can't be read");
    write_all(*output_, std::span(buffer).first(static_cast<std::size_t>(got)));
    at += got;
  }
}

// All of a body is there: whether it is right, and if that had to be known first, it is written out now.
void FetchOutput::finish(std::uint64_t entry) {
  const std::shared_ptr<Body> body = bodies_.at(entry);
  writing_ = true;
  struct Judgement {
    std::string wrong;
    std::optional<base::Failure> problem;
  };
  auto judged = std::make_shared<Judgement>();
  workers_.post(
      [this, body, judged] {
        try {
          judged->wrong = what_is_wrong(*body);
          if (judged->wrong.empty() && body->spool.valid()) write_spooled(*body);
        } catch (const base::Error& error) {
          judged->problem = error.failure();
        }
      },
      [this, entry, body, judged] {
        writing_ = false;
        forget(entry);
        discarded_.insert(entry);
        if (judged->problem) return fail(*judged->problem);
        if (judged->wrong.empty() && body->checked) bytes_written_ += body->written;
        say_(Receipt{entry, judged->wrong.empty() ? Kind::kNone : Kind::kIntegrity, judged->wrong});
      });
}

std::string FetchOutput::what_is_wrong(Body& body) {
  const End& end = *body.end;
  if (base::close_digest(body.sum, end.size) != end.digest) {
    return "the digest of what was written differs from that of what was fetched";
  }
  const auto read = [&body](std::int64_t offset, std::span<std::byte> into) -> std::size_t {
    const ssize_t got = body.spool.valid() ? pread(body.spool.get(), into.data(), into.size(), offset) : 0;
    if (got < 0) throw spool_error(errno, "can't be read");
    base::note_activity();
    return static_cast<std::size_t>(got);
  };
  return unequal(end, read);
}

void FetchOutput::fail(const base::Failure& failure) {
  failure_ = failure;
  while (!bodies_.empty()) forget(bodies_.begin()->first);
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
            if (shutdown(output_->fd.get(), SHUT_WR) != 0) throw unwritable(errno);
            static_cast<void>(wait_for(output_->fd.get(), POLLIN));
            take_answer(output_->fd.get());
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
