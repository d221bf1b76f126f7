#include "cli/console.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "base/error.h"
#include "base/interrupt.h"
#include "cli/channel.h"
#include "cli/progress.h"
#include "cli/render.h"

namespace argosy::cli {

namespace {

class TerminalConsole : public Console {
 public:
  explicit TerminalConsole(const command::CommonOptions& options)
      : options_(options), display_(STDERR_FILENO, options.quiet ? command::ProgressStyle::kNone : options.progress) {}

  void started() override {}
  void progress(const command::Progress& progress) override {
    const auto now = Clock::now();
    if (now - last_drawn_ < kDrawPause) return;
    last_drawn_ = now;
    display_.update(progress, now);
  }
  void output(const std::string& text) override {
    display_.erase();
    printed_ = true;
    // That it can't be written is said when the report can't.
    static_cast<void>(write_all(STDOUT_FILENO, text));
  }
  bool interrupted() override { return base::interrupted() != 0; }
  int finish(const command::Report& report) override {
    display_.erase();
    Rendered rendered = render(report, options_);
    if (printed_ && options_.json) continue_document(rendered);
    print(rendered);
    return report.exit;
  }
  void fatal(int /*exit*/, const std::string& line) override {
    display_.erase();
    if (printed_ && options_.json) static_cast<void>(write_all(STDOUT_FILENO, "\n  ]\n}\n"));
    complain(line);
  }
  base::Fd open_standard_input() override {
    base::Fd fd(fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3));
    if (!fd.valid()) throw base::system_error(base::Kind::kSystem, "", errno, "standard input");
    return fd;
  }
  command::StandardOutput open_standard_output() override {
    base::Fd fd(fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3));
    if (!fd.valid()) throw base::system_error(base::Kind::kSystem, "", errno, "standard output");
    return {std::move(fd), false};
  }

 private:
  using Clock = ProgressDisplay::Clock;
  static constexpr std::chrono::milliseconds kDrawPause{200};

  command::CommonOptions options_;
  ProgressDisplay display_;
  Clock::time_point last_drawn_{};
  bool printed_ = false;  // output(), with --json the beginning of a document
};

}  // namespace

std::unique_ptr<Console> open_console(const Launch& launch, const command::CommonOptions& options) {
  if (launch.channel.empty()) return std::make_unique<TerminalConsole>(options);
  return std::make_unique<ChannelClient>(launch.channel);
}

}  // namespace argosy::cli
