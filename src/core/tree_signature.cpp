#include "core/tree_signature.h"

#include <algorithm>
#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

#include "base/bytes.h"

namespace argosy::core {

namespace {

base::Digest hash(std::span<const std::byte> bytes) {
  return base::close_digest(base::digest_of(bytes, 0), static_cast<std::int64_t>(bytes.size()));
}

// What the folder itself is called does not count.
base::Digest hash_of_name(std::string_view path) {
  path.remove_prefix(std::min(path.find('/'), path.size()));
  return hash(std::as_bytes(std::span(path)));
}

TreeSignature signature_of(const Entry& entry) {
  std::vector<std::byte> bytes;
  base::Writer writer(bytes);
  TreeSignature signature;
  const auto next = [&] {
    const base::Digest digest = hash(bytes);
    bytes.clear();
    return digest;
  };
  writer.put(static_cast<std::uint8_t>(entry.type));
  writer.put(entry.size);
  writer.put(entry.mtime.seconds);
  writer.put(entry.mtime.nanoseconds);
  writer.put(entry.device);
  writer.put_string(entry.link);
  signature.entries = next();
  writer.put(entry.uid);
  writer.put(entry.gid);
  signature.owners = next();
  writer.put(entry.mode);
  signature.modes = next();
  for (const Attribute& one : entry.attributes) {
    writer.put_string(one.name);
    writer.put_string(one.value);
  }
  signature.attributes = next();
  return signature;
}

}  // namespace

void TreeSigner::add(const Entry& entry) {
  if (entry.type == Type::kHardLink) {
    const auto first = several_.find(hash_of_name(entry.link).low);
    if (first == several_.end()) {
      listed_ = false;
      return;
    }
    first->second.names += hash_of_name(entry.path);
    ++first->second.count;
    return;
  }
  const File file{signature_of(entry), hash_of_name(entry.path)};
  if (entry.links <= 1 || entry.type == Type::kFolder) return put(file, sums_);
  // Which of them comes first is the walk's.
  listed_ = several_.emplace(file.names.low, file).second && listed_;
}

std::optional<TreeSignature> TreeSigner::finish() const {
  if (!listed_) return std::nullopt;
  TreeSignature sums = sums_;
  for (const auto& [name, file] : several_) put(file, sums);
  return sums;
}

void TreeSigner::put(const File& file, TreeSignature& sums) {
  std::vector<std::byte> bytes;
  const auto bound = [&](const base::Digest& what) {
    bytes.clear();
    base::Writer writer(bytes);
    writer.put(file.names.low);
    writer.put(file.names.high);
    writer.put(file.count);
    writer.put(what.low);
    writer.put(what.high);
    return hash(bytes);
  };
  sums.entries += bound(file.what.entries);
  sums.owners += bound(file.what.owners);
  sums.modes += bound(file.what.modes);
  sums.attributes += bound(file.what.attributes);
}

}  // namespace argosy::core
