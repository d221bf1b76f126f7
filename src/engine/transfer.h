// One rank's part in one transfer: a relay, and what this rank is besides: origin, destination, both or neither. The
// phase runner calls step() until done() and goes on calling it until every rank is done: a rank whose own work is over
// still drains and releases what others send.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "core/endpoint.h"
#include "core/route.h"
#include "core/transport.h"
#include "engine/control.h"
#include "engine/destination.h"
#include "engine/origin.h"
#include "engine/pool.h"
#include "engine/relay.h"
#include "engine/workers.h"

namespace argosy::engine {

// A rank's slots: those that it reads into, and for each lane those that it receives into.
struct Pools {
  Pool reading;
  std::vector<Pool> lanes;
};

class Transfer {
 public:
  struct Settings {
    Origin::Settings origin;
    Relay::Settings relay;
  };
  // `source` is null but on the route's origins, `sink` null but on its destinations. All outlive the transfer.
  Transfer(core::Transport& transport, Workers& workers, Pools& pools, const core::Route& route, core::Source* source,
           core::Sink* sink, const Settings& settings);

  // Starts what can be started; true when anything was. Throws base::Error when a peer breaks the protocol.
  bool step();
  bool done() const;
  // The job has been asked to stop: the stream ends early, what is unfinished is taken away.
  void stop();
  // Null where this rank is none.
  const Origin* origin() const { return origin_.get(); }
  const Destination* destination() const { return destination_.get(); }
  // Of both.
  base::Failures failures() const;
  // The rank that this one waits for, and for what.
  std::pair<int, std::string> waits_for() const;

  // Adds the seconds that have passed to what this rank is busy with now, or waits for.
  void sample(double passed);
  // The links to other nodes, by the rank they go to; and the seconds with nothing to do until data came.
  const std::map<int, LinkMeter>& links() const { return relay_.meters(); }
  double network_wait() const { return network_wait_; }

 private:
  core::Transport& transport_;
  Relay relay_;
  Control control_;
  std::unique_ptr<Origin> origin_;
  std::unique_ptr<Destination> destination_;
  double network_wait_ = 0;
  bool listens_ = false;   // an origin that is not the root
  bool hands_on_ = false;  // a rank that chunks pass and that keeps none
};

}  // namespace argosy::engine
