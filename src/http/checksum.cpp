#include "http/checksum.h"

#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <utility>

#include "base/error.h"

namespace argosy::http {

namespace {

struct Algorithm {
  std::string_view name;     // as the RFCs have it
  std::string_view openssl;  // as OpenSSL has it
  std::size_t bytes;
};

// The strongest first.
constexpr std::array<Algorithm, 6> kAlgorithms = {{{"sha-512", "SHA512", 64},
                                                   {"sha-384", "SHA384", 48},
                                                   {"sha-256", "SHA256", 32},
                                                   {"sha-224", "SHA224", 28},
                                                   {"sha-1", "SHA1", 20},
                                                   {"md5", "MD5", 16}}};

// "SHA256" and "sha-256" are one.
std::string bare(std::string_view name) {
  std::string text;
  for (const char c : name) {
    if (c != '-') text += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  return text;
}

const Algorithm* find(std::string_view name) {
  const auto* found = std::find_if(kAlgorithms.begin(), kAlgorithms.end(),
                                   [&](const Algorithm& one) { return bare(one.name) == bare(name); });
  return found == kAlgorithms.end() ? nullptr : found;
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  const int lower = std::tolower(static_cast<unsigned char>(c));
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

std::optional<Checksum> make(std::string_view algorithm, std::string value) {
  const Algorithm* known = find(algorithm);
  if (known == nullptr || value.size() != known->bytes) return std::nullopt;
  return Checksum{std::string(known->name), std::move(value)};
}

}  // namespace

bool is_known(std::string_view algorithm) { return find(algorithm) != nullptr; }

std::optional<Checksum> checksum_from_hex(std::string_view algorithm, std::string_view hex) {
  std::string value;
  if (hex.size() % 2 != 0) return std::nullopt;
  for (std::size_t i = 0; i < hex.size(); i += 2) {
    const int high = hex_digit(hex[i]);
    const int low = hex_digit(hex[i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    value += static_cast<char>(high * 16 + low);
  }
  return make(algorithm, std::move(value));
}

std::optional<Checksum> checksum_from_base64(std::string_view algorithm, std::string_view base64) {
  if (base64.empty() || base64.size() % 4 != 0 || base64.size() > 256) return std::nullopt;
  std::string value(base64.size() / 4 * 3, '\0');
  const int length =
      EVP_DecodeBlock(reinterpret_cast<unsigned char*>(value.data()),
                      reinterpret_cast<const unsigned char*>(base64.data()), static_cast<int>(base64.size()));
  if (length < 0) return std::nullopt;
  // The padding counts as zero bytes there.
  const auto padding = static_cast<std::size_t>(std::count(base64.end() - 2, base64.end(), '='));
  value.resize(static_cast<std::size_t>(length) - padding);
  return make(algorithm, std::move(value));
}

std::optional<Checksum> parse_checksum(std::string_view text) {
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos) return std::nullopt;
  return checksum_from_hex(text.substr(0, colon), text.substr(colon + 1));
}

std::string to_string(const Checksum& checksum) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text = checksum.algorithm + ":";
  for (const char c : checksum.value) {
    text += kDigits[static_cast<unsigned char>(c) >> 4U];
    text += kDigits[static_cast<unsigned char>(c) & 15U];
  }
  return text;
}

const Checksum* strongest(const std::vector<Checksum>& checksums) {
  for (const Algorithm& algorithm : kAlgorithms) {
    for (const Checksum& one : checksums) {
      if (one.algorithm == algorithm.name) return &one;
    }
  }
  return nullptr;
}

struct Hasher::State {
  std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)> context{EVP_MD_CTX_new(), EVP_MD_CTX_free};
  std::string name;
};

Hasher::Hasher(std::string_view algorithm) : state_(std::make_unique<State>()) {
  const Algorithm* known = find(algorithm);
  const EVP_MD* method = known == nullptr ? nullptr : EVP_get_digestbyname(known->openssl.data());
  if (!state_->context || method == nullptr || EVP_DigestInit_ex(state_->context.get(), method, nullptr) != 1) {
    throw base::Error(base::Kind::kSystem, {}, 0,
                      "the cryptographic library here does not compute " + std::string(algorithm));
  }
  state_->name = known->name;
}

Hasher::~Hasher() = default;
Hasher::Hasher(Hasher&&) noexcept = default;
Hasher& Hasher::operator=(Hasher&&) noexcept = default;

void Hasher::add(std::span<const std::byte> data) {
  if (EVP_DigestUpdate(state_->context.get(), data.data(), data.size()) != 1) {
    throw base::Error(base::Kind::kSystem, {}, 0, "the cryptographic library has failed");
  }
}

Checksum Hasher::finish() {
  std::array<unsigned char, EVP_MAX_MD_SIZE> value{};
  unsigned length = 0;
  if (EVP_DigestFinal_ex(state_->context.get(), value.data(), &length) != 1) {
    throw base::Error(base::Kind::kSystem, {}, 0, "the cryptographic library has failed");
  }
  return {state_->name, std::string(reinterpret_cast<const char*>(value.data()), length)};
}

}  // namespace argosy::http
