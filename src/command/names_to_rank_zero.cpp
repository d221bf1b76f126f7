#include "command/names_to_rank_zero.h"

#include <climits>
#include <memory>
#include <span>
#include <utility>

#include "base/bytes.h"
#include "base/error.h"
#include "core/manifest.h"

namespace argosy::command {

namespace {
constexpr std::size_t kBytesAtOnce = 64 * 1024;
// OUT, which the kernel takes, a path of a manifest, and the slashes between and behind them.
constexpr std::size_t kLongestName = PATH_MAX + core::kLongestPath + 2;
// The last name may go beyond.
constexpr std::size_t kLongestMessage = kBytesAtOnce + kLongestName + 64;
}  // namespace

NamesToRankZero::NamesToRankZero(core::Transport& transport, int finder, Show show)
    : transport_(transport),
      finder_(finder),
      here_(finder == 0 && transport.rank() == 0),
      sends_(finder != 0 && transport.rank() == finder),
      show_(std::move(show)) {
  if (finder == 0 || transport.rank() != 0) return;
  buffer_.resize(kLongestMessage);
  receive();
}

NamesToRankZero::~NamesToRankZero() {
  if (posted_) transport_.cancel(*posted_);
}

void NamesToRankZero::add(const std::string& name) {
  if (here_) return show_(name);
  base::Writer(waiting_).put_string(name);
  if (waiting_.size() >= kBytesAtOnce) send();
}

void NamesToRankZero::send() {
  ++sending_;
  const auto message = std::make_shared<std::vector<std::byte>>(std::exchange(waiting_, {}));
  transport_.send(0, core::Tag::kWord, *message, [this, message] { --sending_; });
}

void NamesToRankZero::end() {
  if (!sends_ || ended_) return;
  ended_ = true;
  if (!waiting_.empty()) send();
  send();
}

void NamesToRankZero::receive() {
  posted_ = transport_.receive(finder_, core::Tag::kWord, buffer_, [this](int, std::size_t bytes) {
    posted_.reset();
    if (bytes == 0) return;
    base::Reader reader{std::span<const std::byte>(buffer_.data(), bytes)};
    while (reader.left() > 0 && reader.ok()) {
      const std::string name = reader.get_string(kLongestName);
      if (!reader.ok()) throw base::Error(base::Kind::kIntegrity, {}, 0, "a list of names was damaged on its way");
      show_(name);
    }
    receive();
  });
}

bool NamesToRankZero::done() const { return sending_ == 0 && !posted_ && (!sends_ || ended_); }

}  // namespace argosy::command
