#include "command/dealt.h"

#include <cerrno>

#include "base/bytes.h"
#include "base/error.h"
#include "command/place.h"

namespace argosy::command {

namespace {
constexpr std::size_t kLongestText = 256 * 1024;
}  // namespace

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

std::vector<int> owners(const mpi::Session& session, const std::string& directory) {
  const bool all = has_template(directory, 'r');
  std::vector<int> ranks;
  for (int rank = 0; rank < session.size(); ++rank) {
    if (all || session.node_of(rank) == rank) ranks.push_back(rank);
  }
  return ranks;
}

Report finish_dealt(Phases& phases, Report report, base::Failures failures, int interrupted) {
  if (interrupted != 0) failures.leave_out(EINTR);
  report.errors = phases.signed_where_missing(failures.kept());
  report.errors_total = failures.total();
  RankReport rank;
  rank.source = phases.workers().meter().seconds(engine::Work::kSource);
  rank.hash = phases.workers().meter().seconds(engine::Work::kHash);
  return phases.finish(std::move(report), rank, interrupted);
}

}  // namespace argosy::command
