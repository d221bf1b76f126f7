#include "command/scatter_list.h"

#include <functional>
#include <string>

namespace argosy::command {

bool open_folder(StripeJob& job, ScatterSource& source, int root, std::size_t entry) {
  std::function<void()> open;
  if (job.me == root) open = [&] { source.open_folder(entry); };
  const mpi::Verdict opened = job.run_task(open, "scan");
  if (job.phases.failure()) job.report_failure(*job.phases.failure());
  return opened.failed == 0 && job.interrupted == 0;
}

void list_names(StripeJob& job, ScatterSource& source, int root, std::size_t entry, Lines& lines) {
  const auto add = [&](const core::Entry& one) {
    const std::string name = one.path + (one.type == core::Type::kFolder ? "/" : "");
    lines.add(name, base::printable_name(name));
  };
  const bool file = job.me == root && !source.is_folder(entry);
  if (file) add(source.entries()[entry]);
  bool more =
      job.session.exchange(file ? 1 : 0)[static_cast<std::size_t>(root)] == 0 && open_folder(job, source, root, entry);
  while (more && job.interrupted == 0) {
    core::Listing page;
    std::function<void()> look;
    if (job.me == root) look = [&] { page = source.next_names(); };
    job.run_task(look, "scan");
    if (job.phases.failure()) job.report_failure(*job.phases.failure());
    for (const base::Failure& failure : page.failures) job.report_failure(failure);
    for (const core::Entry& one : page.entries) add(one);
    more = job.session.exchange(page.entries.empty() ? 0 : 1)[static_cast<std::size_t>(root)] != 0;
  }
}

}  // namespace argosy::command
