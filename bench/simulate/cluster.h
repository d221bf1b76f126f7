// A cluster under a simulated clock: the routes of core/ move a stream over cards that have a latency and a rate.
// Discrete events, nothing random (jitter is a hash): the same call gives the same times. For the program simulate,
// and for the unit tests, which hold the predictions of core/predict.h and the routes' need for slots against it.
//
// The model. A node is a rank with one card, full duplex, of a rate. A message costs alpha seconds before its first
// byte flows. It may begin when the sender holds the chunk and the receiver has a free slot on the chunk's lane (a
// posted receive). With one message of a card in flight, at most one goes out and one comes in at a time, and alpha
// holds both cards: the model of the lower bound. With two, what argosy keeps, the alpha of one passes while bytes of
// the other flow, and messages to or from two nodes share a card's rate equally, as TCP does; messages to one node
// follow each other. Messages between racks share their uplinks' rates in the same way. A slot is taken when a
// message is let in and given back when the chunk has been handed to everybody. Disks and processors cost nothing.
#pragma once

#include <cstdint>

#include "core/route.h"

namespace argosy::simulate {

struct Cluster {
  int nodes = 2;
  double alpha_seconds = 50e-6;
  double bytes_per_second = 12.5e9;  // of a card, each direction
  int in_flight = 1;                 // messages of a card, each direction
  int slots = 4;                     // of a rank, a lane, for chunks in transit
  int own_slots = 2;                 // of a rank, a lane, for chunks that it puts in
  int rack_nodes = 0;                // nodes of a rack; 0: all hang on one switch
  double oversubscription = 1;       // the rates of a rack's cards together, over its uplink's
  int slow_node = core::kNobody;     // its card has
  double slow_share = 0.5;           // this share of the rate
  double jitter = 0;                 // messages take longer or shorter on the wire by up to this share
};

struct Outcome {
  double seconds = 0;  // until the last chunk is at its last rank
  std::uint64_t messages = 0;
  int peak_slots = 0;     // of any one rank, all lanes together
  int peak_sends = 0;     // messages of one card at once
  int peak_receives = 0;  // the same
};

// Moves `bytes` in chunks of `chunk` bytes along the route, which has a rank for each node and at most two lanes.
// Throws std::logic_error when it comes to a stop before every rank has every chunk.
Outcome simulate(const core::Route& route, const Cluster& cluster, std::int64_t bytes, std::int64_t chunk);

}  // namespace argosy::simulate
