// manifest.json of a stripe, with the checksum that belongs to it.
#include <array>
#include <nlohmann/json.hpp>
#include <string>

#include "check.h"
#include "core/stripe_manifest.h"

namespace argosy {
namespace {

using fuzz::require;

void look_at(std::string_view text) {
  std::string why;
  const auto manifest = core::decode_stripe_manifest(text, why);
  require(manifest.has_value() || !why.empty(), "what is refused says why");
  if (!manifest) return;
  require(fuzz::leads_nowhere_else(manifest->file.path) && manifest->file.path.find('/') == std::string::npos,
          "a name is one");
  require(manifest->file.size >= 0 && manifest->chunk_size >= 1, "sizes are possible");
  require(manifest->parity >= 0 && manifest->parity < static_cast<int>(manifest->workers.size()), "some data is left");
  const core::Stripe stripe = manifest->stripe();
  require(stripe.rows() >= stripe.chunks(), "each chunk has a row");
  for (const std::int64_t row : {std::int64_t{0}, stripe.rows() / 2, stripe.rows() - 1}) {
    if (row < 0 || row >= stripe.rows()) continue;
    const core::Cell cell = stripe.cell(row);
    require(cell.offset >= 0 && cell.length >= 1 && cell.length <= manifest->chunk_size &&
                cell.length <= manifest->file.size - cell.offset,
            "a cell lies in its file");
    static_cast<void>(stripe.worker_of(cell));
  }
  const auto again = core::decode_stripe_manifest(core::encode_stripe_manifest(*manifest), why);
  require(again && core::identity_of(*again) == core::identity_of(*manifest), "a manifest comes back as it was");
}

// As argosy seals it; nothing where the text is no document.
std::string with_checksum(std::string_view text) {
  nlohmann::json document = nlohmann::json::parse(text, nullptr, false);
  if (!document.is_object()) return {};
  document.erase("checksum");
  try {
    const std::string content = document.dump();
    const base::Digest sum = base::digest_of(std::as_bytes(std::span(content)), 0);
    document["checksum"] = base::to_string(base::close_digest(sum, static_cast<std::int64_t>(content.size())));
    return document.dump();
  } catch (const nlohmann::json::exception&) {
    return {};
  }
}

}  // namespace
}  // namespace argosy

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace argosy;
  const std::string_view text = fuzz::text_of(std::as_bytes(std::span(data, size)));
  look_at(text);
  look_at(with_checksum(text));
  return 0;
}
