#include "cli/words.h"

#include <fmt/format.h>

#include "base/error.h"
#include "cli/values.h"

namespace argosy::cli {

namespace {

class Sorter {
 public:
  explicit Sorter(CLI::App& app) : app_(app) {}

  // Throws base::Error (kUsage).
  Words sort(const std::vector<std::string>& words);

 private:
  const CLI::Option& find(const std::string& name) const;
  // Notes the option; true where it takes a value.
  bool take_option(const std::string& name);
  void take_long(const std::string& word);
  void take_short(const std::string& word);
  void take_value(const std::string& name);
  void note_value(const std::string& name, const std::string& value);
  void take_name(const std::string& word);

  CLI::App& app_;
  Words sorted_;
  std::vector<std::string>::const_iterator next_;
  std::vector<std::string>::const_iterator end_;
};

const CLI::Option& Sorter::find(const std::string& name) const {
  const CLI::Option* option = app_.get_option_no_throw(name);
  if (option == nullptr && sorted_.command != nullptr) option = sorted_.command->get_option_no_throw(name);
  if (option != nullptr) return *option;
  for (const CLI::App* command : app_.get_subcommands([](const CLI::App*) { return true; })) {
    if (sorted_.command == nullptr && command->get_option_no_throw(name) != nullptr) {
      throw usage(fmt::format("{} belongs behind '{}'", base::printable(name), command->get_name()));
    }
  }
  throw usage(fmt::format("unknown option {} (a name that begins with '-' goes behind --)", base::printable(name)));
}

bool Sorter::take_option(const std::string& name) {
  const CLI::Option& option = find(name);
  sorted_.options.push_back(name);
  sorted_.help = sorted_.help || option.check_name("--help");
  sorted_.version = sorted_.version || option.check_name("--version");
  return option.get_items_expected_max() > 0;
}

void Sorter::take_value(const std::string& name) {
  if (next_ == end_) throw usage(fmt::format("{} needs a value", name));
  note_value(name, *next_++);
}

void Sorter::note_value(const std::string& name, const std::string& value) {
  sorted_.options.push_back(value);
  sorted_.values.emplace_back(name, value);
}

void Sorter::take_long(const std::string& word) {
  const std::size_t equals = word.find('=');
  const std::string name = word.substr(0, equals);
  const bool has_value = take_option(name);
  if (equals == std::string::npos) {
    if (has_value) take_value(name);
  } else if (has_value) {
    note_value(name, word.substr(equals + 1));
  } else {
    throw usage(fmt::format("{} takes no value", name));
  }
}

// "-qv", "-n4", "-n 4".
void Sorter::take_short(const std::string& word) {
  for (std::size_t i = 1; i < word.size(); ++i) {
    const std::string name = {'-', word[i]};
    if (!take_option(name)) continue;
    if (i + 1 == word.size()) return take_value(name);
    note_value(name, word.substr(i + 1));
    return;
  }
}

void Sorter::take_name(const std::string& word) {
  if (sorted_.command != nullptr) {
    sorted_.names.push_back(word);
    return;
  }
  const auto named = app_.get_subcommands([&](const CLI::App* one) { return one->get_name() == word; });
  if (named.empty()) throw usage(fmt::format("unknown command '{}' (argosy --help lists them)", base::printable(word)));
  sorted_.command = named[0];
}

Words Sorter::sort(const std::vector<std::string>& words) {
  next_ = words.begin();
  end_ = words.end();
  bool options_end = false;
  while (next_ != end_) {
    const std::string& word = *next_++;
    if (options_end || word.size() < 2 || word[0] != '-') {
      take_name(word);
    } else if (word == "--") {
      options_end = true;
    } else if (word[1] == '-') {
      take_long(word);
    } else {
      take_short(word);
    }
  }
  return std::move(sorted_);
}

}  // namespace

Words sort_words(CLI::App& app, const std::vector<std::string>& words) { return Sorter(app).sort(words); }

}  // namespace argosy::cli
