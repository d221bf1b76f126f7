#include "cli/launcher.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "base/error.h"
#include "http/url.h"

namespace argosy::cli {

const std::string_view kMpi = ARGOSY_MPI_NAME;

namespace {

// What marks a process as one of a launcher's. Open MPI's mpirun sets no PMI_* variable and hydra neither OMPI_* nor
// PMIX_*; srun sets those of the plug-in that --mpi names. SLURM_PROCID says nothing: a batch script has it, too.
constexpr std::array kOpenMpiMarks = {"OMPI_COMM_WORLD_SIZE", "PMIX_RANK"};
constexpr std::array kMpichMarks = {"PMI_RANK", "PMI_FD", "PMI_SIZE"};
constexpr std::array kRankVariables = {"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK", "SLURM_PROCID"};

template <std::size_t count>
bool any_set(const Environment& environment, const std::array<const char*, count>& names) {
  return std::any_of(names.begin(), names.end(), [&](const char* name) { return environment(name).has_value(); });
}

bool is_first_rank(const Environment& environment) {
  for (const char* name : kRankVariables) {
    if (const auto rank = environment(name)) return *rank == "0";
  }
  return true;
}

std::string_view full_name(bool openmpi) { return openmpi ? "Open MPI" : "MPICH"; }

std::string refusal_line(bool openmpi, bool by_srun, bool foreign) {
  const std::string_view pmi = openmpi ? "--mpi=pmix" : "--mpi=pmi2";
  const std::string own = fmt::format("use {}, {}, or no launcher at all", ARGOSY_MPIEXEC,
                                      by_srun ? fmt::format("srun {}", pmi) : fmt::format("srun {} under Slurm", pmi));
  if (!foreign) {
    return fmt::format("srun started several tasks without what {} needs to find its ranks: {}", full_name(openmpi),
                       own);
  }
  return fmt::format("this argosy is built with {}, but {} started it: {}", full_name(openmpi),
                     by_srun ? fmt::format("srun --mpi={}", openmpi ? "pmi2" : "pmix")
                             : fmt::format("{}'s launcher", full_name(!openmpi)),
                     own);
}

constexpr std::string_view kPlain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._/=,@+-";
constexpr std::size_t kVariableBytes = 100'000;

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : 0;
}

std::string words_variable(std::size_t index) { return fmt::format("{}_{}", kWordsVariable, index); }

}  // namespace

Environment process_environment() {
  return [](const std::string& name) -> std::optional<std::string> {
    const char* value = std::getenv(name.c_str());
    if (value == nullptr) return std::nullopt;
    return value;
  };
}

Launch detect_launch(std::string_view mpi, const Environment& environment) {
  const bool openmpi = mpi == "openmpi";
  const bool by_openmpi = any_set(environment, kOpenMpiMarks);
  const bool by_mpich = any_set(environment, kMpichMarks);
  Launch launch;
  // Its own mark first: a launcher started from within the other MPI's job leaves both in the environment.
  if (openmpi ? by_openmpi : by_mpich) {
    launch.starter = Starter::kOurMpi;
    launch.speaks = is_first_rank(environment);
    launch.channel = environment(kChannelVariable).value_or("");
    return launch;
  }
  const auto tasks = environment("SLURM_STEP_NUM_TASKS");
  const bool many_tasks = tasks && std::atoi(tasks->c_str()) > 1;
  const bool foreign = openmpi ? by_mpich : by_openmpi;
  if (foreign || many_tasks) {
    // hydra and mpirun use srun to start their daemons, too; their own variables tell them from a bare srun.
    const bool by_srun = tasks && !environment("OMPI_COMM_WORLD_SIZE") && !environment("HYDI_CONTROL_FD");
    launch.starter = Starter::kOtherMpi;
    launch.speaks = is_first_rank(environment);
    launch.refusal = refusal_line(openmpi, by_srun, foreign);
  }
  return launch;
}

std::string encode_words(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) {
    for (const char c : word) {
      if (kPlain.find(c) != std::string_view::npos) {
        text += c;
      } else {
        text += fmt::format("%{:02x}", static_cast<unsigned char>(c));
      }
    }
    text += '&';
  }
  return text;
}

std::vector<std::string> decode_words(std::string_view text) {
  std::vector<std::string> words;
  std::string word;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '&') {
      words.push_back(std::move(word));
      word.clear();
    } else if (text[i] == '%' && i + 2 < text.size()) {
      word += static_cast<char>(hex_digit(text[i + 1]) * 16 + hex_digit(text[i + 2]));
      i += 2;
    } else {
      word += text[i];
    }
  }
  return words;
}

std::vector<std::pair<std::string, std::string>> words_environment(const std::vector<std::string>& words) {
  const std::string text = encode_words(words);
  std::vector<std::pair<std::string, std::string>> variables;
  for (std::size_t at = 0; at < text.size(); at += kVariableBytes) {
    variables.emplace_back(words_variable(variables.size()), text.substr(at, kVariableBytes));
  }
  return variables;
}

std::vector<std::string> command_line(int argc, const char* const* argv, const Launch& launch,
                                      const Environment& environment) {
  if (launch.channel.empty()) return {argv + std::min(argc, 1), argv + argc};
  std::string text;
  for (std::size_t index = 0;; ++index) {
    const auto part = environment(words_variable(index));
    if (!part) break;
    text += *part;
  }
  return decode_words(text);
}

std::string own_program() {
  std::error_code error;
  const auto path = std::filesystem::read_symlink("/proc/self/exe", error);
  if (error) throw base::system_error(base::Kind::kSystem, "/proc/self/exe", error.value(), "which program this is");
  return path.string();
}

std::vector<std::string> own_environment() {
  std::vector<std::string> all;
  for (char** one = environ; *one != nullptr; ++one) all.emplace_back(*one);
  return all;
}

void hide_credentials(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    const std::string hidden = http::without_credentials(argv[i]);
    const std::size_t length = std::strlen(argv[i]);
    if (hidden.size() == length) continue;
    // In the place that it had: nothing longer fits there.
    std::memcpy(argv[i], hidden.c_str(), hidden.size());
    std::memset(argv[i] + hidden.size(), 0, length - hidden.size());
  }
}

std::string start_directory(const Launch& launch, const Environment& environment) {
  if (!launch.channel.empty()) {
    if (const auto folder = environment(kStartDirectoryVariable)) return *folder;
  }
  std::error_code error;
  const std::filesystem::path folder = std::filesystem::current_path(error);
  if (error) {
    throw base::system_error(base::Kind::kUsage, "", error.value(), "the folder in which argosy was started");
  }
  return folder.string();
}

}  // namespace argosy::cli
