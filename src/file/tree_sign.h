// The signature of a folder that is on disk (core/tree_signature.h).
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "core/tree_signature.h"
#include "file/walk.h"

namespace argosy::file {

struct SignedTree {
  core::TreeSignature signature;
  std::int64_t files = 0;  // links and special files among them
  std::int64_t folders = 0;
  std::int64_t bytes = 0;  // of the files
};

// Walks the folder `path` and looks at everything that `selection` has of it, but at no file's content; in patterns it
// is called `name`. Nothing where something can't be looked at, or an interrupt ends it. Blocks.
std::optional<SignedTree> sign_tree(const std::string& path, const std::string& name, const Selection& selection);

// Whether two folders agree in what is wanted of their metadata. Types, sizes and times always count.
bool agree(const core::TreeSignature& one, const core::TreeSignature& other, const Metadata& wanted);

}  // namespace argosy::file
