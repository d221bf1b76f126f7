#include "command/shared_folder.h"

#include <chrono>
#include <functional>
#include <optional>
#include <vector>

namespace argosy::command {

bool is_lowest_of_folder(Phases& phases, const file::Folder* folder) {
  mpi::Session& session = phases.session();
  const std::int64_t now = std::chrono::steady_clock::now().time_since_epoch().count();
  const std::vector<std::int64_t> job = session.exchange(session.rank() == 0 ? now : 0);
  // Every writer leaves a sign in its folder; who then finds a lower rank's there shares the folder with it.
  std::optional<file::Sign> sign;
  std::function<void()> leave;
  if (folder != nullptr) leave = [&] { sign.emplace(*folder, job[0], session.rank()); };
  phases.run_task("scan", leave, [] { return mpi::Verdict{}; });
  bool lowest = true;
  std::function<void()> look;
  if (folder != nullptr) look = [&] { lowest = !sign || sign->is_lowest(); };
  phases.run_task("scan", look, [] { return mpi::Verdict{}; });
  std::function<void()> remove;
  if (sign) remove = [&] { sign.reset(); };
  phases.run_task("scan", remove, [] { return mpi::Verdict{}; });
  return lowest;
}

}  // namespace argosy::command
