// manifest.json of a stripe: what every holder knows of the whole (doc/stripe_format.md). It comes from a disk and is
// hostile until decode has checked it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/digest.h"
#include "core/manifest.h"
#include "core/stripe.h"
#include "core/tree_signature.h"

namespace argosy::core {

enum class StripeLayout { kStripe, kChunks };

// A worker that could not take all that was dealt to it.
struct FailedWorker {
  std::uint32_t worker = 0;
  std::int32_t error_number = 0;
  std::int64_t kept = 0;  // chunks that it has all the same
};

struct StripeManifest {
  Entry file;                // name, size, mode, owner, mtime
  bool tree = false;         // what is striped is a folder's bytes (file/tree_pack.h)
  std::string generation;    // 32 hexadecimal digits, others in each run
  std::int64_t created = 0;  // nanoseconds since 1970, and later than any that it replaces
  std::int64_t chunk_size = 0;
  StripeLayout layout = StripeLayout::kStripe;
  std::vector<std::uint32_t> workers;  // in dealing order
  int parity = 0;
  base::Digest digest;        // of the file
  base::Digest table_digest;  // of all rows, as of a file
  int losses = 0;             // holders that may be lost, whichever they are
  std::int64_t moved = 0;     // rows that are not where the rule puts them
  std::vector<FailedWorker> failed;
  std::optional<TreeSignature> signature;  // of the folder, where all of it is in
  // Generations that this one has replaced, the latest first: what is left of them is no stripe any more.
  std::vector<std::string> replaces;

  Stripe stripe() const { return {file.size, chunk_size, workers, parity}; }
  // The key of the table's rows.
  std::uint64_t key() const;
};

inline constexpr std::size_t kMostReplaced = 64;
inline constexpr std::size_t kLongestStripeManifest = std::size_t{4} << 20;

// One JSON document, with a checksum of itself.
std::string encode_stripe_manifest(const StripeManifest& manifest);
// Nothing where the text is damaged, or says what argosy never writes; `why` then says what.
std::optional<StripeManifest> decode_stripe_manifest(std::string_view text, std::string& why);
// The most bytes that the manifest will have once its file has been dealt.
std::size_t most_manifest_bytes(const StripeManifest& manifest);
// The same for the same content, whatever its layout as text.
std::string identity_of(const StripeManifest& manifest);

// "xxh3:HEX" back. Nothing where it is none.
std::optional<base::Digest> parse_digest(std::string_view text);

}  // namespace argosy::core
