#include "http/name.h"

#include <algorithm>

namespace argosy::http {

namespace {

constexpr std::size_t kLongest = 255;
constexpr std::size_t kEndingKept = 32;

// Cuts at most three bytes more, so that no character of several bytes is cut in two.
std::size_t whole_characters(std::string_view text, std::size_t at) {
  for (int i = 0; i < 3 && at > 0 && (static_cast<unsigned char>(text[at]) & 0xC0U) == 0x80U; ++i) --at;
  return at;
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
  std::string name(proposed);
  std::replace_if(
      name.begin(), name.end(), [](unsigned char c) { return c < ' ' || c == 0x7F; }, '_');
  if (name.empty() || name == "." || name == "..") return "index.html";
  if (name.front() == '.') name.front() = '_';
  return shortened(name, kLongest);
}

std::string numbered(const std::string& name, int number) {
  const std::string suffix = "." + std::to_string(number);
  return shortened(name, kLongest - suffix.size()) + suffix;
}

}  // namespace argosy::http
