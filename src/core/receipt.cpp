#include "core/receipt.h"

#include "base/bytes.h"
#include "base/digest.h"

namespace argosy::core {

namespace {
constexpr std::uint32_t kMagic = 0x52475241;  // "ARGR"
constexpr std::size_t kChecksum = 8;
}  // namespace

Receipt& Receipt::operator+=(const Receipt& other) {
  chunks += other.chunks;
  bytes = other.bytes > INT64_MAX - bytes ? INT64_MAX : bytes + other.bytes;
  files += other.files;
  failed.insert(failed.end(), other.failed.begin(), other.failed.end());
  stopped += other.stopped;
  return *this;
}

std::vector<std::byte> encode_receipt(const Receipt& receipt) {
  std::vector<std::byte> bytes;
  base::Writer writer(bytes);
  writer.put(kMagic);
  writer.put(receipt.chunks);
  writer.put(receipt.bytes);
  writer.put(receipt.files);
  writer.put(receipt.stopped);
  writer.put(static_cast<std::uint8_t>(receipt.last ? 1 : 0));
  writer.put(static_cast<std::uint32_t>(receipt.failed.size()));
  for (const std::uint64_t entry : receipt.failed) writer.put(entry);
  writer.put(base::checksum_of(bytes));
  return bytes;
}

std::optional<Receipt> decode_receipt(std::span<const std::byte> bytes) {
  if (bytes.size() < kChecksum) return std::nullopt;
  const auto body = bytes.first(bytes.size() - kChecksum);
  if (base::Reader(bytes.last(kChecksum)).get<std::uint64_t>() != base::checksum_of(body)) return std::nullopt;
  base::Reader reader(body);
  if (reader.get<std::uint32_t>() != kMagic) return std::nullopt;
  Receipt receipt;
  receipt.chunks = reader.get<std::uint64_t>();
  receipt.bytes = reader.get<std::int64_t>();
  receipt.files = reader.get<std::uint64_t>();
  receipt.stopped = reader.get<std::uint32_t>();
  const auto flags = reader.get<std::uint8_t>();
  receipt.last = flags == 1;
  const auto count = reader.get<std::uint32_t>();
  if (!reader.ok() || flags > 1 || receipt.bytes < 0 || count > kFailuresAReceipt ||
      reader.left() != std::size_t{count} * 8)
    return std::nullopt;
  receipt.failed.resize(count);
  for (std::uint64_t& entry : receipt.failed) entry = reader.get<std::uint64_t>();
  return receipt;
}

}  // namespace argosy::core
