#include "base/log.h"

#include <fmt/format.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <cstdio>

namespace argosy::base {

void open_log(std::string_view who, bool verbose) {
  auto logger = spdlog::stderr_logger_mt("argosy");
  logger->set_pattern(fmt::format("%H:%M:%S.%e [{}] %v", who));
  logger->set_level(verbose ? spdlog::level::info : spdlog::level::off);
  spdlog::set_default_logger(std::move(logger));
}

void complain(std::string_view line) { fmt::print(stderr, "argosy: {}\n", line); }

void log(std::string_view line) { spdlog::info("{}", line); }

}  // namespace argosy::base
