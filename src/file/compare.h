// What tells two files apart, a line each.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <string>
#include <vector>

#include "core/manifest.h"
#include "file/folders.h"
#include "file/metadata.h"

namespace argosy::file {

// Beneath an open folder.
struct Place {
  Folders& folders;
  std::string path;
};

// "file", "folder", "symbolic link", ...
std::string_view type_name(core::Type type);
core::Type type_of(mode_t mode);

// What stat(2) tells of two things; where their types differ only that. Appends "KEY ..." to `found`.
void compare_status(const core::Entry& a, const core::Entry& b, const Metadata& what, std::vector<std::string>& found);

// What stat(2) tells of something, and what a symbolic link leads to, as a manifest has it. Blocks. Throws base::Error
// (kSource) about `shown`.
core::Entry entry_of(const Place& place, const struct stat& status, const std::string& shown);

// The attributes of both. Blocks; throws as read_attributes does.
void compare_attributes(const std::vector<core::Attribute>& a, const std::vector<core::Attribute>& b,
                        std::vector<std::string>& found);
std::vector<core::Attribute> attributes_of(const Place& place, const std::string& shown);

// The first byte from `offset` on, within `length`, in which two files differ; -1: none. What is a hole in both is not
// read. Blocks. Throws base::Error (kSource).
std::int64_t first_difference(const Place& a, const Place& b, std::int64_t offset, std::int64_t length,
                              const std::string& shown_a, const std::string& shown_b);

}  // namespace argosy::file
