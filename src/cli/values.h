// Options with a value: how they stand in CLI11's table, and how their text becomes what it means once all words are
// known.
#pragma once

#include <fmt/format.h>

#include <CLI/App.hpp>
#include <map>
#include <string>

#include "base/error.h"

namespace argosy::cli {

// The texts of options, by their long names.
using Texts = std::map<std::string, std::string>;

base::Error usage(std::string message);

// `names` as CLI11 has them, the long one last. `texts` outlives `app`.
CLI::Option* add_text(CLI::App& app, Texts& texts, const std::string& names, const char* value, const char* help);

// Where option `name` was given: its text, parsed, into `value`. `what` it should be is for the message. Throws
// base::Error (kUsage).
template <typename Value, typename Parse>
void convert(const Texts& texts, const CLI::App& app, const std::string& name, const char* what, Parse parse,
             Value& value) {
  const CLI::Option* option = app.get_option_no_throw(name);
  if (option == nullptr || option->count() == 0) return;
  const std::string& text = texts.at(name);
  const auto parsed = parse(text);
  if (!parsed) throw usage(fmt::format("{}: '{}' is no {}", name, base::printable(text), what));
  value = *parsed;
}

// Where option `name` was given: its text, which must not be empty. Throws base::Error (kUsage).
void copy(const Texts& texts, const CLI::App& app, const std::string& name, std::string& value);

}  // namespace argosy::cli
