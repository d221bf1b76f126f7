// A cluster under a simulated clock: the routes of core/ move a stream over cards that have a latency and a rate. Discrete
// events, whole picoseconds, nothing random: the same call gives the same times. Used by the program simulate and by the unit
// tests, which hold the predictions of core/predict.h and the routes' need for slots against it.
//
// The model. A node is a rank with one card, full duplex: at most one message comes in and at most one goes out at a time.
// A message costs alpha seconds before its first byte and beta seconds a byte on both cards. It may start when the sender
// holds the chunk and the receiver has a free slot on the chunk's lane (a posted receive). At most `in_flight` messages of a
// card have started and not ended: with 1 every message pays its alpha in full, which is the model of the lower bound; with 2
// the alpha of one passes while the other has the wire. A slot is taken when a message starts and given back when the chunk
// has been handed to everybody; disks and processors cost nothing.
#pragma once

#include <cstdint>

#include "core/route.h"

namespace argosy::simulate {

struct Cluster {
  int nodes = 2;
  double alpha_seconds = 50e-6;
  double bytes_per_second = 12.5e9;  // of a card, a direction
  int in_flight = 1;                 // messages of a card
  int slots = 4;                     // of a rank, a lane, for chunks in transit
  int own_slots = 2;                 // of a rank, a lane, for chunks that it puts in
  int rack_nodes = 0;                // nodes of a rack; 0: all hang on one switch
  double oversubscription = 1;       // a rack's cards over its uplink
  int slow_node = core::kNobody;     // this one's card has
  double slow_share = 0.5;           // this share of the rate
};

struct Outcome {
  double seconds = 0;    // until the last chunk is at its last rank
  int peak_slots = 0;    // of any one rank, all lanes together
  int peak_sends = 0;    // messages of one card on the wire at once, out
  int peak_receives = 0; // and in
  std::uint64_t messages = 0;
};

// Moves `bytes` in chunks of `chunk` bytes. Throws std::logic_error when the route hands on a chunk that nobody waits for, or
// comes to a stop before every rank has every chunk.
Outcome simulate(const core::Route& route, const Cluster& cluster, std::int64_t bytes, std::int64_t chunk);

}  // namespace argosy::simulate
