#include "http/name.h"

#include "base/error.h"

namespace argosy::http {

namespace {

constexpr std::size_t kLongest = 255;
constexpr std::size_t kEndingKept = 32;

// Cuts at most three bytes more, so that no character of several bytes is cut in two.
std::size_t whole_characters(std::string_view text, std::size_t at) {
  for (int i = 0; i < 3 && at > 0 && (static_cast<unsigned char>(text[at]) & 0xC0U) == 0x80U; ++i) --at;
  return at;
}

// Characters that a terminal obeys, or that make a name look like another one: C0 and C1 controls, those that turn the
// direction of writing around (Unicode's Bidi_Control), line and paragraph separators, invisible ones.
bool is_deceptive(char32_t c) {
  return c < 0x20 || (c >= 0x7F && c < 0xA0) || c == 0xAD || c == 0x61C || (c >= 0x200B && c <= 0x200F) ||
         (c >= 0x2028 && c <= 0x202E) || (c >= 0x2060 && c <= 0x206F) || c == 0xFEFF;
}

// '_' in place of each of these, and of each byte that is not UTF-8.
std::string without_deceptive(std::string_view text) {
  std::string plain;
  for (std::size_t i = 0; i < text.size();) {
    const auto lead = static_cast<unsigned char>(text[i]);
    const std::size_t length = lead < 0x80 ? 1 : lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
    const std::string_view one = text.substr(i, length);
    if (!base::is_utf8(one)) {
      plain += '_';
      ++i;
      continue;
    }
    char32_t c = lead < 0x80 ? lead : lead & (0x7FU >> length);
    for (std::size_t j = 1; j < length; ++j) c = c << 6U | (static_cast<unsigned char>(one[j]) & 0x3FU);
    plain += is_deceptive(c) ? "_" : std::string(one);
    i += length;
  }
  return plain;
}

std::string shortened(const std::string& name, std::size_t longest) {
  if (name.size() <= longest) return name;
  const std::size_t dot = name.rfind('.');
  const bool has_ending = dot != std::string::npos && dot > 0 && name.size() - dot <= kEndingKept;
  const std::string ending = has_ending ? name.substr(dot) : "";
  return name.substr(0, whole_characters(name, longest - ending.size())) + ending;
}

}  // namespace

std::string safe_name(std::string_view proposed) {
  if (const std::size_t cut = proposed.find('\0'); cut != std::string_view::npos) proposed = proposed.substr(0, cut);
  if (const std::size_t slash = proposed.find_last_of("/\\"); slash != std::string_view::npos) {
    proposed.remove_prefix(slash + 1);
  }
  while (!proposed.empty() && (proposed.front() == ' ' || proposed.front() == '\t')) proposed.remove_prefix(1);
  while (!proposed.empty() && (proposed.back() == ' ' || proposed.back() == '\t')) proposed.remove_suffix(1);
  std::string name = without_deceptive(proposed);
  if (name.empty() || name == "." || name == "..") return "index.html";
  if (name.front() == '.') name.front() = '_';
  return shortened(name, kLongest);
}

std::string numbered(const std::string& name, int number) {
  const std::string suffix = "." + std::to_string(number);
  return shortened(name, kLongest - suffix.size()) + suffix;
}

}  // namespace argosy::http
