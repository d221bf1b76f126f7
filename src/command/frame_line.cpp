#include "command/frame_line.h"

#include <algorithm>
#include <utility>

#include "base/bytes.h"
#include "base/error.h"

namespace argosy::command {

namespace {

constexpr std::size_t kMessageBytes = 64 * 1024;
constexpr std::uint32_t kLongestFrame = 64U << 20;

}  // namespace

FrameLine::FrameLine(core::Transport& transport, core::Tag out, core::Tag in, int from,
                     std::function<void(int, std::span<const std::byte>)> arrived)
    : transport_(transport), out_(out), in_(in), from_(from), arrived_(std::move(arrived)), buffer_(kMessageBytes) {
  listen();
}

FrameLine::~FrameLine() {
  if (posted_) transport_.cancel(*posted_);
}

void FrameLine::listen() {
  posted_ = transport_.receive(from_, in_, buffer_, [this](int from, std::size_t bytes) {
    posted_.reset();
    take(from, std::span(buffer_).first(bytes));
    listen();
  });
}

void FrameLine::take(int from, std::span<const std::byte> bytes) {
  std::vector<std::byte>& all = partial_[from];
  all.insert(all.end(), bytes.begin(), bytes.end());
  std::size_t at = 0;
  while (all.size() - at >= sizeof(std::uint32_t)) {
    const auto rest = std::span(all).subspan(at);
    const auto length = base::Reader(rest).get<std::uint32_t>();
    if (length > kLongestFrame) throw base::Error(base::Kind::kIntegrity, {}, 0, "a frame was damaged on its way");
    if (rest.size() - sizeof length < length) break;
    arrived_(from, rest.subspan(sizeof length, length));
    at += sizeof length + length;
  }
  all.erase(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(at));
}

void FrameLine::send(int to, std::span<const std::byte> frame) {
  Way& way = ways_[to];
  base::Writer(way.waiting).put(static_cast<std::uint32_t>(frame.size()));
  way.waiting.insert(way.waiting.end(), frame.begin(), frame.end());
  if (!way.under_way) start(to, way);
}

void FrameLine::start(int to, Way& way) {
  const std::size_t length = std::min(way.waiting.size(), kMessageBytes);
  if (length == 0) return;
  const auto end = way.waiting.begin() + static_cast<std::ptrdiff_t>(length);
  way.sending.assign(way.waiting.begin(), end);
  way.waiting.erase(way.waiting.begin(), end);
  way.under_way = true;
  transport_.send(to, out_, way.sending, [this, to, &way] {
    way.under_way = false;
    start(to, way);
  });
}

bool FrameLine::idle() const {
  return std::none_of(ways_.begin(), ways_.end(), [](const auto& way) { return way.second.under_way; });
}

}  // namespace argosy::command
