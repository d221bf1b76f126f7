// What a command lists on standard output while it works, a line each; with --json the array with which the report's
// document begins (cli::continue_document writes the rest behind it). So nobody holds what is listed.
#pragma once

#include <cstdint>
#include <string>

#include "command/report.h"

namespace argosy::command {

// Rank 0, main thread.
class Lines {
 public:
  // `array` is the array's name in the document, `key` that of the text in each object of it. A null `observer` sees
  // nothing, and with `quiet` only the document is written.
  Lines(Observer* observer, bool json, bool quiet, std::string array, std::string key);
  // `shown` is how a line has it, `raw` how the document does.
  void add(const std::string& raw, const std::string& shown);
  void add(const std::string& line) { add(line, line); }
  // What is left; before the report.
  void flush();
  std::int64_t count() const { return count_; }

 private:
  Observer* observer_;
  bool json_;
  bool quiet_;
  std::string array_;
  std::string key_;
  std::string text_;
  std::int64_t count_ = 0;
};

}  // namespace argosy::command
