// Who started this process: nobody, our MPI's launcher (by our own supervisor's hand or by the user's), or another
// MPI's. Told from the environment alone, so that it can be answered before any MPI is started. Also what the
// supervisor hands to its ranks through the environment: the words of the command line and the folder it was started
// in.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace argosy::cli {

// "openmpi" or "mpich": the MPI this program is linked with.
extern const std::string_view kMpi;

// As getenv(3), so that tests can bring an environment of their own.
using Environment = std::function<std::optional<std::string>(const std::string& name)>;
Environment process_environment();
// All of it, as NAME=VALUE.
std::vector<std::string> own_environment();

// This program's full path. Throws base::Error (kSystem) where /proc doesn't tell.
std::string own_program();

enum class Starter {
  kNobody,    // start the job ourselves
  kOurMpi,    // this process is a rank
  kOtherMpi,  // a launcher that this build can't work under
};

struct Launch {
  Starter starter = Starter::kNobody;
  // Under a launcher: true on the one process that may print before there is a communicator.
  bool speaks = true;
  // kOtherMpi: the line for the user, without "argosy: ".
  std::string refusal;
  // ARGOSY_CHANNEL: how rank 0 reaches the supervisor; empty where argosy did not start the job.
  std::string channel;
};

Launch detect_launch(std::string_view mpi, const Environment& environment);

// Words of a command line as text for environment variables, and back. Launchers can't be trusted with the words
// themselves: both take a lone ":" for their own, and hydra dies of a thousand of them.
std::string encode_words(const std::vector<std::string>& words);
std::vector<std::string> decode_words(std::string_view text);

// The variables that carry `words` (several: Linux bounds one at 128 KiB), as NAME and value.
std::vector<std::pair<std::string, std::string>> words_environment(const std::vector<std::string>& words);

// The words that the user wrote behind "argosy": argv's, or on a rank that our supervisor started the supervisor's.
std::vector<std::string> command_line(int argc, const char* const* argv, const Launch& launch,
                                      const Environment& environment);

// Overwrites user names and passwords of addresses in `argv`, so that the process list does not show them. Call it once
// the words are known.
void hide_credentials(int argc, char** argv);

// The folder that relative paths start in: on a rank that our supervisor started the supervisor's, else this process's
// own. Throws base::Error (kUsage) where that one has no name any more.
std::string start_directory(const Launch& launch, const Environment& environment);

inline constexpr const char* kChannelVariable = "ARGOSY_CHANNEL";
inline constexpr const char* kStartDirectoryVariable = "ARGOSY_START_DIRECTORY";
inline constexpr const char* kWordsVariable = "ARGOSY_WORDS";

}  // namespace argosy::cli
