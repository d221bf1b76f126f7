#include "cli/values.h"

#include <utility>

namespace argosy::cli {

base::Error usage(std::string message) { return {base::Kind::kUsage, "", 0, std::move(message)}; }

CLI::Option* add_text(CLI::App& app, Texts& texts, const std::string& names, const char* value, const char* help) {
  const std::string key = names.substr(names.rfind("--"));
  return app.add_option(names, texts[key], help)
      ->type_name(value)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
}

void copy(const Texts& texts, const CLI::App& app, const std::string& name, std::string& value) {
  const CLI::Option* option = app.get_option_no_throw(name);
  if (option == nullptr || option->count() == 0) return;
  value = texts.at(name);
  if (value.empty()) throw usage(fmt::format("{}: the value is empty", name));
}

}  // namespace argosy::cli
