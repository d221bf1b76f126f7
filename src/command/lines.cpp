#include "command/lines.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <utility>

#include "command/json_bytes.h"

namespace argosy::command {

namespace {
constexpr std::size_t kBytesAtOnce = 64 * 1024;
}  // namespace

Lines::Lines(Observer* observer, bool json, bool quiet, std::string array, std::string key)
    : observer_(observer), json_(json), quiet_(quiet), array_(std::move(array)), key_(std::move(key)) {}

void Lines::add(const std::string& raw, const std::string& shown) {
  const bool first = count_++ == 0;
  if (observer_ == nullptr) return;
  if (json_) {
    nlohmann::json one;
    put_bytes(one, key_, raw);
    text_ += first ? fmt::format("{{\n  \"{}\": [\n    ", array_) : ",\n    ";
    text_ += one.dump();
  } else if (!quiet_) {
    text_ += shown;
    text_ += '\n';
  }
  if (text_.size() >= kBytesAtOnce) flush();
}

void Lines::flush() {
  if (observer_ != nullptr && !text_.empty()) observer_->output(text_);
  text_.clear();
}

}  // namespace argosy::command
