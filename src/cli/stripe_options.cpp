#include "cli/stripe_options.h"

#include <fmt/format.h>

#include "base/error.h"
#include "cli/source_options.h"
#include "cli/values.h"
#include "core/stripe.h"

namespace argosy::cli {

command::StripeName parse_stripe_name(const std::string& text) {
  const std::size_t end = text.find_last_not_of('/');
  const std::size_t slash = end == std::string::npos ? std::string::npos : text.rfind('/', end);
  command::StripeName stripe;
  if (end != std::string::npos) {
    const std::size_t begin = slash == std::string::npos ? 0 : slash + 1;
    stripe.name = text.substr(begin, end + 1 - begin);
    stripe.directory = slash == std::string::npos ? "." : slash == 0 ? "/" : text.substr(0, slash);
  }
  if (stripe.name.size() > std::string(core::kStripeSuffix).size() && stripe.name.ends_with(core::kStripeSuffix)) {
    stripe.name.resize(stripe.name.size() - std::string(core::kStripeSuffix).size());
  }
  if (stripe.name.empty() || stripe.name == "." || stripe.name == "..") {
    throw usage(fmt::format("'{}' is no DIR/NAME", base::printable(text)));
  }
  validate_directory(stripe.directory);
  return stripe;
}

}  // namespace argosy::cli
