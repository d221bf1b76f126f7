#include "engine/pulse.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <numeric>
#include <utility>

#include "base/bytes.h"
#include "base/interrupt.h"

namespace argosy::engine {

namespace {

constexpr std::size_t kLongestWhat = 512;
constexpr std::size_t kLongestFatal = 4096;
constexpr std::size_t kStatusBytes = 128 + kLongestWhat + 2 * kLongestFatal;

std::vector<std::byte> encode(const Pulse::Status& status) {
  std::vector<std::byte> bytes;
  base::Writer writer(bytes);
  writer.put(status.activity);
  writer.put(status.bytes);
  writer.put(status.files);
  writer.put(std::int32_t{status.interrupted});
  writer.put(std::int32_t{status.waits_for});
  writer.put_string(std::string_view(status.what).substr(0, kLongestWhat));
  const base::Failure fatal = status.fatal.value_or(base::Failure{});
  writer.put(static_cast<std::int32_t>(fatal.kind));
  writer.put_string(std::string_view(fatal.path).substr(0, kLongestFatal));
  writer.put_string(std::string_view(fatal.message).substr(0, kLongestFatal));
  return bytes;
}

Pulse::Status decode(std::span<const std::byte> bytes) {
  base::Reader reader(bytes);
  Pulse::Status status;
  status.activity = reader.get<std::uint64_t>();
  status.bytes = reader.get<std::int64_t>();
  status.files = reader.get<std::uint64_t>();
  status.interrupted = reader.get<std::int32_t>();
  status.waits_for = reader.get<std::int32_t>();
  status.what = reader.get_string(kLongestWhat);
  base::Failure fatal;
  fatal.kind = static_cast<base::Kind>(reader.get<std::int32_t>());
  fatal.path = reader.get_string(kLongestFatal);
  fatal.message = reader.get_string(kLongestFatal);
  if (reader.ok() && fatal.kind != base::Kind::kNone) status.fatal = std::move(fatal);
  return status;
}

}  // namespace

Pulse::Pulse(core::Transport& transport, std::vector<std::string> hosts, double stall_timeout)
    : transport_(transport),
      hosts_(std::move(hosts)),
      stall_timeout_(stall_timeout),
      // Rank 0 hears at most a thousand a second, however many ranks there are.
      interval_(std::max(0.2, 0.001 * transport.size())),
      moved_(Clock::now()),
      answered_(moved_),
      in_(kStatusBytes) {
  if (transport_.rank() == 0) known_.resize(static_cast<std::size_t>(transport_.size()), {{}, moved_});
  if (transport_.size() > 1) receive();
}

Pulse::~Pulse() {
  if (posted_) transport_.cancel(*posted_);
}

void Pulse::receive() {
  const bool root = transport_.rank() == 0;
  const core::Tag tag = root ? core::Tag::kStatus : core::Tag::kReply;
  posted_ = transport_.receive(root ? core::kAnyRank : 0, tag, in_, [this, root](int from, std::size_t bytes) {
    posted_.reset();
    const auto now = Clock::now();
    if (root) {
      Known& known = known_[static_cast<std::size_t>(from)];
      Status status = decode(std::span(in_).first(bytes));
      if (status.activity != known.status.activity) moved_ = now;
      if (status.interrupted != 0) base::interrupt(status.interrupted);
      if (status.fatal) {
        status.fatal->rank = from;
        status.fatal->host = hosts_.at(static_cast<std::size_t>(from));
        set_fatal(*status.fatal);
      }
      known = {std::move(status), now};
      auto reply = std::make_shared<std::vector<std::byte>>();
      base::Writer writer(*reply);
      writer.put(std::int32_t{base::interrupted()});
      writer.put(static_cast<std::int32_t>(fatal_ ? fatal_->kind : base::Kind::kNone));
      ++replies_under_way_;
      transport_.send(from, core::Tag::kReply, *reply, [this, reply] { --replies_under_way_; });
    } else {
      const std::span<const std::byte> message(in_.data(), bytes);
      base::Reader reader(message);
      const auto signal_number = reader.get<std::int32_t>();
      if (signal_number != 0) base::interrupt(signal_number);
      base::Failure fatal;
      fatal.kind = static_cast<base::Kind>(reader.get<std::int32_t>());
      if (fatal.kind != base::Kind::kNone) set_fatal(fatal);
      awaiting_reply_ = false;
      answered_ = now;
    }
    receive();
  });
}

void Pulse::step(const std::function<Status()>& status) {
  const auto now = Clock::now();
  const bool urgent = (base::interrupted() != 0 || fatal_) && now - told_ > interval_ / 10;
  if (closed_ || awaiting_reply_ || (now - told_ < interval_ && !urgent)) return;
  told_ = now;
  if (transport_.rank() == 0) {
    Status mine = status();
    if (mine.activity != known_[0].status.activity) moved_ = now;
    known_[0] = {std::move(mine), now};
    return;
  }
  tell(status());
}

void Pulse::tell(const Status& status) {
  out_ = encode(status);
  awaiting_reply_ = true;
  transport_.send(0, core::Tag::kStatus, out_, [] {});
}

std::string Pulse::name(int rank) const {
  return fmt::format("rank {} on {}", rank, hosts_.at(static_cast<std::size_t>(rank)));
}

std::optional<std::string> Pulse::stalled() const {
  if (stall_timeout_.count() <= 0) return std::nullopt;
  const auto now = Clock::now();
  const auto seconds = stall_timeout_.count();
  const int me = transport_.rank();
  if (me != 0) {
    // A little later than rank 0 would, and one rank after another: the first to speak ends the job.
    const std::chrono::duration<double> patience(seconds + 1 + 0.05 * std::min(me, 40));
    if (!awaiting_reply_ || now - answered_ < patience || now - told_ < patience) return std::nullopt;
    return fmt::format("{} waits for {}: no answer for {:g} s", name(me), name(0), seconds);
  }
  if (now - moved_ < stall_timeout_) return std::nullopt;
  const auto silent = [&](int rank) { return now - known_[static_cast<std::size_t>(rank)].heard > stall_timeout_ / 2; };
  const auto line = [&](int rank, const Known& known) {
    const bool itself = known.status.waits_for == rank;
    return fmt::format("{} waits for {}: {}; nothing has moved for {:g} s", name(rank),
                       itself ? known.status.what : name(known.status.waits_for),
                       itself ? "no byte came" : known.status.what, seconds);
  };
  // The most telling wait is the one for a rank that has fallen silent, then one for a disk.
  std::optional<std::string> found;
  for (int rank = 0; rank < transport_.size(); ++rank) {
    const Known& known = known_[static_cast<std::size_t>(rank)];
    const int other = known.status.waits_for;
    if (silent(rank) || other < 0 || other >= transport_.size()) continue;
    if (other != rank && silent(other)) return line(rank, known) + "; it does not answer";
    if (!found || other == rank) found = line(rank, known);
  }
  for (int rank = 0; rank < transport_.size() && !found; ++rank) {
    if (silent(rank)) found = fmt::format("{} waits for {}: no answer for {:g} s", name(0), name(rank), seconds);
  }
  return found.value_or(fmt::format("nothing has moved for {:g} s", seconds));
}

std::int64_t Pulse::bytes() const {
  return std::accumulate(known_.begin(), known_.end(), std::int64_t{0},
                         [](std::int64_t sum, const Known& known) { return sum + known.status.bytes; });
}

std::uint64_t Pulse::files() const {
  return std::accumulate(known_.begin(), known_.end(), std::uint64_t{0},
                         [](std::uint64_t sum, const Known& known) { return sum + known.status.files; });
}

}  // namespace argosy::engine
