#include "file/tree_sign.h"

#include <vector>

#include "base/activity.h"
#include "base/interrupt.h"
#include "file/names.h"

namespace argosy::file {

std::optional<SignedTree> sign_tree(const std::string& path, const std::string& name, const Selection& selection) {
  SignedTree found;
  core::TreeSigner signer;
  Names names;
  std::vector<base::Failure> failures;
  try {
    Walk walk(path, name, path, selection, names);
    while (const auto entry = walk.next(failures)) {
      signer.add(*entry);
      ++(entry->type == core::Type::kFolder ? found.folders : found.files);
      if (entry->readable()) found.bytes += entry->size;
      base::note_activity();
      if (base::interrupted() != 0) return std::nullopt;
    }
  } catch (const base::Error&) {
    return std::nullopt;
  }
  const auto signature = signer.finish();
  if (!signature || !failures.empty()) return std::nullopt;
  found.signature = *signature;
  return found;
}

bool agree(const core::TreeSignature& one, const core::TreeSignature& other, const Metadata& wanted) {
  return one.entries == other.entries && (!wanted.owner || one.owners == other.owners) &&
         (!wanted.mode || one.modes == other.modes) && (!wanted.attributes || one.attributes == other.attributes);
}

}  // namespace argosy::file
