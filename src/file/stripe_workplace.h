// Where a stripe's folder is filled, and what a run leaves there that is killed in the middle of its commit:
// `.argosy-HASH.stripe` beside NAME.argosy, and in it a folder for each generation.
//
// A scatter first finishes its folder everywhere, manifest and all, then puts it in place everywhere, then removes what
// had the place before. So of a generation that is in place anywhere every folder is finished, in place or here; and
// what is here and older than what is in place is needed no more. Both can be told from one folder alone.
//
// Everything blocks: for I/O threads. `folder` is DIR's descriptor.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/stripe_manifest.h"
#include "file/beneath.h"

namespace argosy::file {

// The manifest in the folder `name`, and its text; nothing where there is none that is right, and `why`.
std::optional<core::StripeManifest> read_manifest(int folder, const std::string& name, std::string& text,
                                                  std::string& why);
std::optional<core::StripeManifest> read_manifest(int folder, const std::string& name);

// Whether `name` is one that a stripe's folder may hold, what a run has left that was killed included.
bool is_stripe_name(const std::string& name);

// Whether what is called `name` in the workplace may be the only place where a part of a stripe is.
bool is_needed(int folder, const std::string& workplace, const std::string& name);
// Removes what is not needed, and then the workplace itself when it is empty.
void tidy_workplace(int folder, const std::string& workplace) noexcept;
// A folder of a stripe with all that is in it. What can't be removed stays.
void remove_stripe_folder(int folder, const std::string& name) noexcept;

// `from` gets the name `target`, and what had that, if anything, the name `from`: at once where the file system can do
// that. Throws base::Error (kDestination) when it can't be done; nothing has changed then.
void put_stripe_in_place(int folder, const std::string& from, const std::string& target, const std::string& shown);

// Finishes in DIR what an interrupted commit of `meant` has left to do there. Nothing is done where another run works
// on the stripe.
void settle_stripe(const Folder& folder, const core::StripeManifest& meant);

// Removes the folder `path`, DIR/NAME.argosy, and what is in its workplace, as far as these are stripes of these
// generations; nothing is done where another run works there.
void remove_replaced(const std::string& path, const std::set<std::string>& generations) noexcept;

}  // namespace argosy::file
