#include "command/shared_folder.h"

#include <algorithm>
#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "file/folder_key.h"

namespace argosy::command {

bool is_lowest_of_folder(Phases& phases, const file::Folder* folder) {
  mpi::Session& session = phases.session();
  const std::int64_t now = std::chrono::steady_clock::now().time_since_epoch().count();
  const std::vector<std::int64_t> job = session.exchange(session.rank() == 0 ? now : 0);
  // Every writer leaves a sign in its folder; who then finds a lower rank's there shares the folder with it.
  std::optional<file::Sign> sign;
  std::string key;
  std::function<void()> leave;
  if (folder != nullptr) {
    leave = [&] {
      try {
        sign.emplace(*folder, job[0], session.rank());
      } catch (const base::Error&) {
        // All may be in place, so that nothing has to be written: then the folder is known by what stat(2) tells.
        key = file::folder_key(folder->path(), folder->path());
      }
    };
  }
  phases.run_task("scan", leave, [] { return mpi::Verdict{}; });
  const std::vector<std::string> keys = session.exchange(key);
  const auto first = std::find(keys.begin(), keys.end(), key);
  bool lowest = key.empty() || first - keys.begin() == session.rank();
  std::function<void()> look;
  if (sign) look = [&] { lowest = sign->is_lowest(); };
  phases.run_task("scan", look, [] { return mpi::Verdict{}; });
  std::function<void()> remove;
  if (sign) remove = [&] { sign.reset(); };
  phases.run_task("scan", remove, [] { return mpi::Verdict{}; });
  return lowest;
}

}  // namespace argosy::command
