// SPDX-License-Identifier: Apache-2.0
//
// nodeward-load: load that the well-known tools do not make. Each mode prints
// one JSON object on standard output; failures go to standard error and end
// the process with status 1. One thread.
#pragma once

#include <cstdint>
#include <string>

#include "socket.h"

namespace nodeward::load {

struct Options {
  Address to;             // serve: where to listen
  int connections = 1;    // pingpong, hold: how many; churn: how many at once
  int size = 64;          // bytes of a message
  double seconds = 1;     // pingpong, churn: measured time; watch: give up
  double warmup = 0.2;    // pingpong, churn: time before that
  int count = 1000;       // dial: how many
  std::string until;      // watch: "answer" or "refusal"
  double pause_ms = 0.2;  // watch: between two tries
};

// Echoes everything back until it is ended.
int Serve(const Options& options);
// `connections` connections, each with one message in flight.
int PingPong(const Options& options);
// New connections: connect, one message each way, close; `connections` at once.
int Churn(const Options& options);
// Opens `connections`, one message each way on each, prints {"held": N} and
// keeps them until standard input ends.
int Hold(const Options& options);
// `count` times connect() alone, one after the other.
int Dial(const Options& options);
// Tries new connections until the outcome is `until`; prints {"first": …} after
// the first try and at the end the CLOCK_MONOTONIC time at which the first try
// with the awaited outcome was begun, and that at which it was known.
int Watch(const Options& options);

}  // namespace nodeward::load
