#include "command/run.h"

#include <variant>

#include "command/bcast.h"
#include "command/clean.h"
#include "command/digest.h"
#include "command/fetch.h"
#include "command/gather.h"
#include "command/repair.h"
#include "command/scatter.h"
#include "command/send.h"
#include "command/verify.h"

namespace argosy::command {

namespace {

// One call for each command.
struct Runner {
  const Options& options;
  mpi::Session& session;
  const Surroundings& surroundings;

  Report operator()(const SendOptions& asked) const { return send(options, asked, session, surroundings); }
  Report operator()(const BcastOptions& asked) const { return bcast(options, asked, session, surroundings); }
  Report operator()(const DigestOptions& asked) const { return digest(options, asked, session, surroundings); }
  Report operator()(const CleanOptions& asked) const { return clean(options, asked, session, surroundings); }
  Report operator()(const VerifyOptions& asked) const { return verify(options, asked, session, surroundings); }
  Report operator()(const ScatterOptions& asked) const { return scatter(options, asked, session, surroundings); }
  Report operator()(const GatherOptions& asked) const { return gather(options, asked, session, surroundings); }
  Report operator()(const RepairOptions& asked) const { return repair(options, asked, session, surroundings); }
  Report operator()(const FetchOptions& asked) const { return fetch(options, asked, session, surroundings); }
};

}  // namespace

Report run(const Options& options, mpi::Session& session, const Surroundings& surroundings) {
  return std::visit(Runner{options, session, surroundings}, options.command);
}

}  // namespace argosy::command
