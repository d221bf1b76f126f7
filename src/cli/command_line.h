// One command of argosy as the command line knows it: its name, its options, its help, and how names and values become
// what command/ works on. One file a command: send_line.cpp, bcast_line.cpp and so on; parse.cpp has the list.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cli/values.h"
#include "command/options.h"

namespace argosy::cli {

class CommandLine {
 public:
  struct About {
    std::string_view name;
    std::string_view description;  // in the list of commands
    std::string_view usage;        // its forms, each as "argosy send [OPTIONS] FILE... DIR"
    std::string_view help;         // usage and what it does
    std::string_view examples;
  };

  virtual ~CommandLine() = default;
  virtual const About& about() const = 0;
  // Whether --chunk-size may be any, and not only whole leaves of the digest.
  virtual bool takes_any_chunk_size() const { return false; }
  // Its options, into CLI11's table. This object outlives `app`.
  virtual void add_options(CLI::App& app) = 0;
  // Before read(): the options with a value, in their order, for those to which it matters.
  virtual void take_values(const std::vector<std::pair<std::string, std::string>>& /*values*/) {}
  // Once CLI11 has seen all words: what is asked for with these names. Throws base::Error (kUsage).
  virtual command::CommandOptions read(const CLI::App& app, std::vector<std::string> names) const = 0;
};

// Every command, in the order of the help.
std::vector<std::unique_ptr<CommandLine>> command_lines();

std::unique_ptr<CommandLine> send_line();
std::unique_ptr<CommandLine> bcast_line();
std::unique_ptr<CommandLine> digest_line();
std::unique_ptr<CommandLine> verify_line();
std::unique_ptr<CommandLine> clean_line();
std::unique_ptr<CommandLine> scatter_line();
std::unique_ptr<CommandLine> gather_line();
std::unique_ptr<CommandLine> repair_line();
std::unique_ptr<CommandLine> fetch_line();

}  // namespace argosy::cli
