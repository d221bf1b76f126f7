#include "cli/render.h"

#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <map>
#include <nlohmann/json.hpp>
#include <numeric>
#include <set>
#include <string_view>

#include "cli/units.h"

namespace argosy::cli {

namespace {

constexpr std::size_t kErrorsShown = 20;

std::string past_tense(const std::string& command) {
  static const std::map<std::string, std::string> kPast = {{"send", "sent"},         {"bcast", "broadcast"},
                                                           {"scatter", "scattered"}, {"gather", "gathered"},
                                                           {"repair", "repaired"},   {"verify", "verified"}};
  const auto known = kPast.find(command);
  return known == kPast.end() ? command + ":" : known->second;
}

std::string count(std::int64_t number, const char* what) {
  return fmt::format("{} {}{}", number, what, number == 1 ? "" : "s");
}

// What is to be said of a stripe: lines behind the result's.
std::string stripe_lines(const command::Report& report, bool all) {
  const command::StripeReport& stripe = *report.stripe;
  std::string text;
  // What gather has not looked at it can't tell.
  if (stripe.losses >= 0 && report.command != "gather") {
    const std::string losses =
        stripe.losses == 0 ? "no share may be lost" : "any " + count(stripe.losses, "share") + " may be lost";
    text = fmt::format("{} on {}; {}\n", count(stripe.chunks, "chunk"), count(stripe.workers, "worker"), losses);
  }
  if (stripe.rebuilt > 0) text += fmt::format("{} made again from the others\n", count(stripe.rebuilt, "chunk"));
  for (const command::ReceiptReport& one : stripe.receipts) {
    if (!all && one.error_number == 0) continue;
    text += fmt::format("  worker {} on {}: {} acknowledged, {} failed", one.worker, one.host, one.acknowledged,
                        one.failed);
    if (one.error_number != 0) text += fmt::format(": {}; the others have the rest", std::strerror(one.error_number));
    text += '\n';
  }
  for (const command::ShareReport& one : stripe.shares) {
    if (!all) continue;
    text += fmt::format("  share {}: {}, {} damaged, {} missing", one.share, count(one.chunks, "chunk"), one.damaged,
                        one.missing);
    text += one.rank < 0 ? "\n" : fmt::format(" (rank {} on {})\n", one.rank, one.host);
  }
  return text;
}

// What --explain shows.
std::string prediction(const command::Report& report) {
  std::string text = fmt::format("{} bytes; no route takes less than {:.4f} s\n", report.bytes, report.lower_bound);
  for (const command::RouteReport& route : report.predicted) {
    text += fmt::format("  {:<9} {:>10.4f} s in chunks of {}{}\n", route.route, route.seconds,
                        format_size(route.chunk_size), route.route == report.route ? "  <- chosen" : "");
  }
  return text;
}

// There was something to move, and it did not have to.
bool is_in_place(const command::Report& report) {
  if (report.bytes_moved > 0) return false;
  if (!report.stripe) return report.bytes > 0;
  // Those that check or repair stripes move nothing. A folder has bytes as it is striped, empty as it may be.
  return (report.command == "scatter" && report.bytes > 0) || (report.command == "gather" && report.folders > 0);
}

// A destination's line, for commands with many.
std::string node_line(const command::RankReport& rank, double seconds) {
  const double rate = seconds > 0 ? static_cast<double>(rank.bytes_written) / seconds : 0;
  return fmt::format("  rank {} on {}: {} bytes, {}, waited {:.2f} s for network, wrote {:.2f} s, hashed {:.2f} s\n",
                     rank.rank, rank.host, rank.bytes_written, format_rate(rate), rank.network_wait, rank.disk,
                     rank.hash);
}

}  // namespace

std::string_view command_name(const command::Options& options) {
  return std::visit([](const auto& one) { return one.kName; }, options.command);
}

// "fetched data.bin: 123 bytes (1.2 MB), 1.000 received for each, 0.50 s, 2.4 MB/s, xxh3:..."
std::string fetch_line(const command::Report& report) {
  const std::string what = report.name.empty() ? fmt::format("{} file{}", report.files, report.files == 1 ? "" : "s")
                                               : base::printable_name(report.name);
  std::string line = fmt::format("fetched {}: {} bytes", what, report.bytes);
  if (report.bytes >= 1024) line += fmt::format(" ({})", format_size(report.bytes));
  if (report.fetch->resumed > 0) line += fmt::format(", {} of them from an interrupted run", report.fetch->resumed);
  if (report.files > 0 && report.fetch->in_place == report.files) {
    line += fmt::format(", {}, already in place", format_seconds(report.seconds.total));
  } else {
    line += fmt::format(", {:.3f} received for each, {}", report.fetch->ratio(), format_seconds(report.seconds.total));
    if (report.seconds.total > 0) {
      line += ", " + format_rate(static_cast<double>(report.bytes_moved) / report.seconds.total);
    }
  }
  if (!report.digest.empty()) line += ", " + report.digest;
  return line;
}

std::string result_line(const command::Report& report) {
  if (report.command == command::CleanOptions::kName) {
    return fmt::format("removed {} leftover{}, {} bytes", report.files, report.files == 1 ? "" : "s", report.bytes);
  }
  if (report.fetch) return fetch_line(report);
  std::int64_t read = 0;
  std::int64_t written = 0;
  for (const command::RankReport& rank : report.ranks) {
    read += rank.bytes_read;
    written += rank.bytes_written;
  }
  std::string what = base::printable_name(report.name);
  if (report.name.empty() || report.folders > 0) {
    what = fmt::format("{} file{}", report.files, report.files == 1 ? "" : "s");
    if (report.folders > 0) what += fmt::format(" in {} folder{}", report.folders, report.folders == 1 ? "" : "s");
  }
  std::string line = fmt::format("{} {}: {} bytes", past_tense(report.command), what, read);
  if (read >= 1024) line += fmt::format(" ({})", format_size(read));
  line += report.command == "verify" ? fmt::format(" read and checked")
                                     : fmt::format(" read, {} written and verified", written);
  line += ", " + format_seconds(report.seconds.total);
  if (is_in_place(report)) {
    line += ", already in place";
  } else if (report.bytes_moved > 0 && report.seconds.total > 0) {
    line += ", " + format_rate(static_cast<double>(report.bytes_moved) / report.seconds.total);
  }
  if (!report.digest.empty()) line += ", " + report.digest;
  if (!report.limited_by.empty()) line += fmt::format("\n{}; limited by: {}", report.route, report.limited_by);
  return line;
}

Rendered render(const command::Report& report, const command::CommonOptions& options) {
  Rendered rendered;
  // Standard output has the data already.
  const bool to_output = report.fetch && report.fetch->to_output;
  if (options.json) {
    rendered.out = command::to_json(report).dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
  } else if (!options.quiet && !to_output && (report.exit == 0 || report.files > 0 || report.folders > 0)) {
    const bool has_printed = report.command == "digest" || (report.command == "verify" && !report.stripe);
    rendered.out = has_printed        ? std::string()
                   : report.explained ? prediction(report)
                   : report.dry_run   ? fmt::format("{} would change; nothing was moved\n", report.would_change)
                                      : result_line(report) + "\n";
    if (report.stripe) rendered.out += stripe_lines(report, options.verbose);
    if (options.verbose && !report.route.empty()) {
      for (const command::RankReport& rank : report.ranks) rendered.out += node_line(rank, report.seconds.transfer);
    }
  }
  for (std::size_t i = 0; i < std::min(report.warnings.size(), kErrorsShown); ++i) {
    rendered.err += fmt::format("argosy: warning: {}\n", base::describe(report.warnings[i]));
  }
  const std::size_t shown = std::min(report.errors.size(), kErrorsShown);
  for (std::size_t i = 0; i < shown; ++i) {
    rendered.err += fmt::format("argosy: {}\n", base::describe(report.errors[i]));
  }
  const std::int64_t all = std::max(report.errors_total, static_cast<std::int64_t>(report.errors.size()));
  if (all > static_cast<std::int64_t>(shown)) {
    rendered.err += fmt::format("argosy: ... and {} more{}\n", all - static_cast<std::int64_t>(shown),
                                options.json ? "" : " (--json lists them)");
  }
  rendered.err += way_on(report, options);
  return rendered;
}

std::string way_on(const command::Report& report, const command::CommonOptions& options) {
  static const std::set<std::string_view> kGoOn = {"send", "bcast", "gather", "fetch"};
  constexpr int kSignalled = 128;
  const bool leaves = kGoOn.contains(report.command) && !report.stripe && !report.explained && !report.dry_run;
  if (report.exit <= kSignalled || options.quiet || !leaves) return {};
  return "argosy: the same command again goes on from here, and argosy clean DIR takes away what is left\n";
}

void continue_document(Rendered& rendered) {
  if (rendered.out.starts_with('{')) rendered.out.replace(0, 1, "\n  ],");
}

command::Report failed_report(std::string command, int exit, base::Failure failure) {
  command::Report report;
  report.command = std::move(command);
  report.exit = exit;
  report.errors.push_back(std::move(failure));
  report.errors_total = 1;
  return report;
}

bool write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t count = write(fd, text.data(), text.size());
    if (count >= 0) {
      text.remove_prefix(static_cast<std::size_t>(count));
      continue;
    }
    if (errno == EINTR) continue;
    if (errno != EAGAIN && errno != EWOULDBLOCK) return false;
    // Somebody else with this terminal made it non-blocking.
    pollfd waiting = {fd, POLLOUT, 0};
    if (poll(&waiting, 1, -1) < 0 && errno != EINTR) return false;
  }
  return true;
}

bool can_write(int fd) {
  pollfd now = {fd, POLLOUT, 0};
  return poll(&now, 1, 0) > 0;
}

void complain(std::string_view line) { static_cast<void>(write_all(STDERR_FILENO, fmt::format("argosy: {}\n", line))); }

void print(const Rendered& rendered) {
  static_cast<void>(write_all(STDERR_FILENO, rendered.err));
  if (!write_all(STDOUT_FILENO, rendered.out)) complain(fmt::format("standard output: {}", std::strerror(errno)));
}

}  // namespace argosy::cli
