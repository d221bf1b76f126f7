// What mpiexec and the ranks print: a bounded memory of it, line by line, and what it says about how a job died.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace argosy::cli {

// Cuts a non-blocking descriptor's bytes into lines and keeps the last 64 KiB of them.
class OutputReader {
 public:
  // `on_line` gets each line without its newline; overlong ones come in parts.
  explicit OutputReader(std::function<void(std::string_view)> on_line) : on_line_(std::move(on_line)) {}

  // Reads what there is, at most 1 MiB at a time; false at the end of file.
  bool read(int fd);
  // A last line without newline counts, too.
  void finish();
  const std::string& kept() const { return kept_; }

 private:
  void take(std::string_view text);

  std::function<void(std::string_view)> on_line_;
  std::string line_;
  std::string kept_;
};

// What is known of a job that died, in one clause: "rank 1 on h2 was killed by signal 9 (Killed)", from the banner that
// Open MPI's or MPICH's mpiexec prints; empty where `output` has none.
std::string read_banner(std::string_view output);

// "mpiexec ended with code 137", from a status of waitpid(2).
std::string describe_end(int wait_status);

// The last few lines that say something, without the launchers' frames and banners.
std::vector<std::string> last_words(std::string_view output, std::size_t most);

}  // namespace argosy::cli
