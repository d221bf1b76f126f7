// Two trees are laid side by side on rank 0, which looks at names and what stat(2) tells; contents and attributes are
// compared by all ranks. A saved manifest is compared line by line, and then the tree is looked over for what the
// manifest does not name.
#include "command/verify.h"

#include <chrono>
#include <memory>
#include <utility>

#include "command/dealt.h"
#include "command/place.h"
#include "command/verify_compare.h"
#include "command/verify_find.h"

namespace argosy::command {

namespace {

mpi::Verdict compare(Phases& phases, const Options& options, const VerifyOptions& asked, const file::Metadata& what,
                     Report& report, Lines& lines, base::Failures& failures) {
  const std::string first = absolute(options.start_directory, asked.directory);
  std::string second;
  std::unique_ptr<Finder> finder;
  if (asked.against == VerifyOptions::Against::kOther) {
    second = absolute(options.start_directory, asked.other);
    finder = find_side_by_side(first, second, what);
  } else {
    finder = find_line_by_line(absolute(options.start_directory, asked.manifest), first);
  }
  Comparison comparison(phases, first, second, what);
  Differences differences(lines, report, failures);
  engine::Deal::Work work;
  work.next = [&] { return comparison.next(*finder); };
  work.work = [&](const engine::Bytes& task) { return comparison.work(task); };
  work.result = [&](const engine::Bytes& result) { differences.take(result); };
  mpi::Verdict all = run_dealt(phases, "verify", std::move(work));
  report.unfounded = comparison.gave_up();
  return all;
}

}  // namespace

Report verify(const Options& options, const VerifyOptions& asked, mpi::Session& session,
              const Surroundings& surroundings) {
  if (asked.against == VerifyOptions::Against::kStripes)
    return verify_stripes(options, asked.stripe, session, surroundings);
  Report report;
  report.command = "verify";
  Phases phases(session, options.common, surroundings.observer);
  if (surroundings.observer != nullptr) surroundings.observer->started();
  const auto begun = std::chrono::steady_clock::now();
  const file::Metadata what{!asked.no_owner, !asked.no_mode, !asked.no_times, !asked.no_xattrs};
  Lines lines(surroundings.observer, options.common.json, false, "lines", "text");
  base::Failures failures;
  mpi::Verdict all;
  if (asked.against == VerifyOptions::Against::kNodes) {
    all = verify_nodes(phases, options.start_directory, asked.directory, what, report, lines, failures);
  } else if (asked.against == VerifyOptions::Against::kManifest &&
             (has_template(asked.directory, 'r') || has_template(asked.directory, 'h'))) {
    all = verify_copies(phases, options.start_directory, asked, what, report, lines, failures);
  } else {
    all = compare(phases, options, asked, what, report, lines, failures);
  }
  lines.flush();
  Report whole = finish_dealt(phases, std::move(report), failures, all.interrupted);
  whole.seconds.total = std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
  return whole;
}

}  // namespace argosy::command
