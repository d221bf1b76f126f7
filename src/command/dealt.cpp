#include "command/dealt.h"

#include "base/bytes.h"
#include "base/error.h"

namespace argosy::command {

namespace {
constexpr std::size_t kLinesAtOnce = 64 * 1024;
constexpr std::size_t kLongestText = 256 * 1024;
}  // namespace

void Lines::add(const std::string& line) {
  if (json_) {
    report_.lines.push_back(line);
    return;
  }
  text_ += line;
  text_ += '\n';
  if (text_.size() >= kLinesAtOnce) flush();
}

void Lines::flush() {
  if (observer_ != nullptr && !text_.empty()) observer_->output(text_);
  text_.clear();
}

mpi::Verdict run_dealt(Phases& phases, const std::string& name, engine::Deal::Work work) {
  engine::Deal deal(phases.session().transport(), phases.workers(), std::move(work));
  Phase phase;
  phase.name = name;
  phase.step = [&] { return deal.step(); };
  phase.done = [&] { return deal.done(); };
  phase.stop = [&] { deal.stop(); };
  phase.verdict = [] { return mpi::Verdict{}; };
  phase.status = [&] {
    engine::Pulse::Status status;
    status.waits_for = deal.waits_for();
    status.what = status.waits_for == phases.session().rank() ? "its own disk" : "a task";
    return status;
  };
  return phases.run(phase);
}

void put_failure(base::Writer& writer, const base::Failure& failure) {
  writer.put(static_cast<std::int32_t>(failure.kind));
  writer.put(std::int32_t{failure.rank});
  writer.put(std::int32_t{failure.error_number});
  writer.put_string(failure.host);
  writer.put_string(failure.path);
  writer.put_string(failure.message);
}

base::Failure get_failure(base::Reader& reader) {
  base::Failure failure;
  failure.kind = static_cast<base::Kind>(reader.get<std::int32_t>());
  failure.rank = reader.get<std::int32_t>();
  failure.error_number = reader.get<std::int32_t>();
  failure.host = reader.get_string(kLongestText);
  failure.path = reader.get_string(kLongestText);
  failure.message = reader.get_string(kLongestText);
  return failure;
}

Report finish_dealt(Phases& phases, mpi::Session& session, Report report, int interrupted) {
  report.errors_total = static_cast<std::int64_t>(report.errors.size());
  if (report.errors.size() > kErrorsKept) report.errors.resize(kErrorsKept);
  RankReport rank;
  rank.rank = session.rank();
  rank.host = session.host(session.rank());
  rank.peak_rss = peak_rss();
  rank.source = phases.workers().meter().seconds(engine::Work::kSource);
  rank.hash = phases.workers().meter().seconds(engine::Work::kHash);
  report.ranks = {rank};
  return phases.finish(report, interrupted);
}

}  // namespace argosy::command
