// The names of what a run leaves only when it is interrupted: beside a target, the same in every run, and short
// whatever the target's: a name of 255 bytes has no room for a suffix. `clean` knows them by their form.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace argosy::file {

// By which names and paths are known where their text is not kept, and in names such as these.
std::uint64_t hash_of(std::string_view path);

// `.argosy-HASH.part`: a file that is being written; `name` is its target's in the same folder.
std::string temporary_name(std::string_view name);
// `.argosy-HASH.new`: what is about to replace its target in one step, under the lock of its tree alone: another run
// may be writing the target's part.
std::string replacement_name(std::string_view name);
// `.argosy-HASH.lock`: says that a run works on the target.
std::string lock_name(std::string_view name);
// `.argosy-HASH.journal`: which parts of `.argosy-HASH.part` are written.
std::string journal_name(std::string_view name);
// `.argosy-HASH.tree`: a folder that is shown as a whole when it is complete.
std::string tree_name(std::string_view name);
// `.argosy-HASH.stage`: a folder whose files take its place when they are whole (stage.h).
std::string stage_name(std::string_view name);
// `.argosy-HASH.aside`: a journal that was damaged, or somebody else's.
std::string aside_name(std::string_view name);
// `.argosy-HASH.stripe`: a stripe's folder that is being filled.
std::string stripe_name(std::string_view name);
// True for each of these.
bool is_temporary(std::string_view name);
bool is_lock(std::string_view name);

// `.argosy-HASH.NUMBER.get`: a file that is being downloaded, or a manifest that is being saved. Who works on it holds
// the kernel's lock of the file itself.
std::string download_name(std::string_view guess, std::uint64_t number);
bool is_download(std::string_view name);
// Beside a download: which parts of it are written; and such a journal that was damaged, or somebody else's.
std::string download_journal(const std::string& download);
std::string download_aside(const std::string& download);
// The download that a name of one of these three forms belongs to; empty: it has none of them.
std::string download_of(std::string_view name);
// What the downloads of `guess` begin with, before their numbers.
std::string download_stem(std::string_view guess);

// `.argosy-HEX.ranks`, where writers look for each other.
bool is_signs(std::string_view name);
// True for all of these. `clean` takes them away, so what a user calls so is not moved.
bool is_own_name(std::string_view name);
inline constexpr const char* kOwnName = "is left out: argosy keeps such names for what is unfinished";

}  // namespace argosy::file
