// Checksums that others have made of a file: SHA-256 and its like, from a list, a Metalink or an HTTP header. argosy's
// own digest (base/digest.h) is another thing.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace argosy::http {

struct Checksum {
  std::string algorithm;  // "sha-256", as RFC 5854 and RFC 9530 write it
  std::string value;      // raw bytes
  friend bool operator==(const Checksum&, const Checksum&) = default;
};

// "sha256:HEX" (or sha-256, sha512, sha1, md5 ...); nothing where it is none, or the algorithm is not known here.
std::optional<Checksum> parse_checksum(std::string_view text);
std::optional<Checksum> checksum_from_hex(std::string_view algorithm, std::string_view hex);
std::optional<Checksum> checksum_from_base64(std::string_view algorithm, std::string_view base64);

// True for an algorithm that can be computed here.
bool is_known(std::string_view algorithm);
// "sha-256:HEX".
std::string to_string(const Checksum& checksum);
// The one to be checked where a source gives several: the strongest.
const Checksum* strongest(const std::vector<Checksum>& checksums);

// Computes one, piece by piece. Any thread, one at a time.
class Hasher {
 public:
  // An algorithm that is_known. Throws base::Error (kSystem) where the library refuses it.
  explicit Hasher(std::string_view algorithm);
  ~Hasher();
  Hasher(Hasher&&) noexcept;
  Hasher& operator=(Hasher&&) noexcept;

  void add(std::span<const std::byte> data);
  // The end: call it once.
  Checksum finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace argosy::http
