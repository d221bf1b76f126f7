#include "cli/outcome.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "cli/output.h"

namespace argosy::cli {

namespace {

constexpr std::size_t kLastWords = 5;
constexpr std::string_view kPrefix = "argosy: ";

// `text` without the lines that are in `shown`.
std::string drop_lines(std::string_view text, const std::set<std::string, std::less<>>& shown) {
  std::string kept;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n') + 1, text.size());
    const std::string_view line = text.substr(0, end - 1);
    if (!shown.contains(line)) kept += text.substr(0, end);
    text.remove_prefix(end);
  }
  return kept;
}

}  // namespace

void Outcome::add_failure(int exit, base::Failure failure, std::string line) {
  if (exit_ == 0) exit_ = exit;
  failures_.push_back(std::move(failure));
  lines_.push_back(std::move(line));
}

void Outcome::add_failure(std::string message) {
  base::Failure failure;
  failure.kind = base::Kind::kSystem;
  failure.message = message;
  add_failure(static_cast<int>(base::Kind::kSystem), std::move(failure), std::move(message));
}

void Outcome::add_death(std::optional<int> wait_status, std::string_view output, bool output_was_shown) {
  // A rank that said why it went has said it better than its launcher can.
  if (!shown_.empty()) {
    base::Failure failure;
    failure.kind = base::Kind::kSystem;
    failure.message = shown_.begin()->substr(kPrefix.size());
    exit_ = static_cast<int>(base::Kind::kSystem);
    failures_.push_back(std::move(failure));
    return;
  }
  const std::string clause = read_banner(output);
  const std::string end = wait_status ? describe_end(*wait_status) : "mpiexec had to be killed";
  add_failure(fmt::format("the job died: {}", clause.empty() ? end : base::printable(clause)));
  // The banner has told which rank was lost, and how; the rest are the other ranks' complaints that it is gone.
  if (output_was_shown || !clause.empty()) return;
  for (const std::string& word : last_words(output, kLastWords)) {
    lines_.push_back(fmt::format("mpiexec: {}", base::printable(word)));
  }
}

command::Report Outcome::report(double start, double total) const {
  command::Report report;
  if (result_) {
    report = *result_;
  } else {
    report.command = command_;
    report.exit = exit_;
    report.errors = failures_;
    report.errors_total = static_cast<std::int64_t>(failures_.size());
  }
  constexpr int kSignalExit = 128;
  // A job that was done when the signal came is done.
  if (signal_ != 0 && (!result_ || result_->exit != 0)) report.exit = kSignalExit + signal_;
  report.seconds.start = start;
  report.seconds.total = total;
  return report;
}

Rendered Outcome::rendered(const command::Report& report, const command::CommonOptions& options) const {
  Rendered rendered = render(report, options);
  if (!result_) {
    rendered.err.clear();
    for (const std::string& line : lines_) rendered.err += fmt::format("{}{}\n", kPrefix, line);
    rendered.err += way_on(report, options);
  }
  rendered.err = drop_lines(rendered.err, shown_);
  return rendered;
}

}  // namespace argosy::cli
