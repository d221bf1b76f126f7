// A scatter's workers: DIR and who shares it, the folder that is written, and how it comes to its place. Every rank has
// one and takes part in its phases; those that are no workers have nothing to do in them.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "command/options.h"
#include "command/stripe_job.h"
#include "core/stripe_manifest.h"
#include "engine/holder.h"
#include "file/beneath.h"
#include "file/share_store.h"

namespace argosy::command {

// What a file's workers agree on before it is dealt.
struct Attempt {
  core::StripeManifest manifest;
  bool open_ended = false;
  std::vector<std::int64_t> errors;  // by rank: 0, or the errno for which it takes no part
  std::vector<std::int64_t> leads;   // by rank: 1 where it leads a folder
};

class ScatterWorker {
 public:
  // Both outlive the worker. `works`: this rank is one.
  ScatterWorker(StripeJob& job, const ScatterOptions& asked, bool works);

  // Each of these is collective.
  // Makes DIR, and finds out who shares one.
  void open_directory();
  // Folder, room and share of a file, wherever that can be; fills in the attempt's `errors` and `leads`, and what its
  // manifest replaces.
  void prepare(Attempt& attempt);
  // Closes everything and puts it in place; false where somebody could not, and then nothing has changed.
  bool commit(const std::string& manifest);
  // What is to be said of a file that is in place and yet not striped as it was meant (not collective).
  void warn(const core::StripeManifest& manifest, int root) const;
  // Takes away what was not put in place. With `next` another file follows, for which this one's failures don't count.
  void drop(bool next);
  // Nothing more will be written: an empty DIR that was made here is removed, another made durable.
  void leave();

  // For the chunks of the file that has been prepared; empty where this rank is no worker.
  void start_holding(engine::Pool& pool, const Parcels& parcels, int root, std::optional<engine::Holder>& holder);
  void stop_holding(const engine::Holder& holder);
  // Why this rank takes no (more) chunks.
  const std::optional<base::Failure>& failure() const { return failure_; }

 private:
  // A task of this rank if it `takes_part`; what it throws becomes failure(). True where it went well here.
  bool run(bool takes_part, const std::function<void()>& task, const char* phase);
  std::int64_t error() const;
  void agree_on_replaced(core::StripeManifest& manifest) const;

  StripeJob& job_;
  const ScatterOptions& asked_;
  bool works_;
  std::optional<file::Folder> folder_;
  int leader_ = -1;     // of the folder; -1: nobody can
  bool leads_ = false;  // this rank does
  std::unique_ptr<file::ShareStore> store_;
  std::optional<base::Failure> failure_;
  std::optional<base::Failure> lasting_;  // the part of it that the next file will meet, too
  std::optional<base::Failure> table_failure_;
  std::int64_t kept_ = 0;  // chunks
};

}  // namespace argosy::command
