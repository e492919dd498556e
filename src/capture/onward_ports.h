// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#include "base/ip.h"

namespace nodeward::capture {

// Source ports for onward connections of one pod. They are bound to the
// client's own address, where the client itself uses ports from its ephemeral
// range (32768-60999 unless configured); one of ours that equals the port of a
// captured connection of that client would be answered by the captured socket.
// So: ports outside that range, and none that the filter knows as captured.
// Lock-free; any thread.
class OnwardPorts {
 public:
  OnwardPorts();

  // How many candidates are worth trying for one connection: even with 28 000
  // open connections of one client to one application port, several of
  // them are free.
  static constexpr int kAttempts = 256;
  // The candidate for try number `attempt` (from 0). The first is the next in
  // turn, so that a port rests long before it is used again; the others are
  // scattered, because ports in use lie in rows. Early ones come from where
  // applications seldom listen: an application that binds a port of ours
  // without SO_REUSEADDR would be refused it.
  uint16_t Candidate(const base::IpAddress& client, int attempt);

  // A counting filter: false positives only cost a port.
  void Captured(const base::Endpoint& client) { Count(client, 1); }
  void Released(const base::Endpoint& client) { Count(client, -1); }
  bool MayBeCaptured(const base::Endpoint& client) const;

 private:
  // One bucket for every port of a client; clients are shifted against each
  // other. Mapped by itself: memory is the kernel's zero page until a bucket is
  // written, which a heap does not promise of what was freed to it.
  static constexpr size_t kBuckets = 1 << 16;
  static constexpr size_t kBytes = kBuckets * sizeof(uint16_t);
  static size_t BucketOf(const base::Endpoint& client);
  void Count(const base::Endpoint& client, int by);

  uint16_t Scattered(int attempt);

  std::atomic<uint32_t> next_{0};
  std::atomic<uint64_t> scattered_{1};
  struct Unmap {
    void operator()(uint16_t* counts) const;
  };
  std::unique_ptr<uint16_t, Unmap> counts_;
};

}  // namespace nodeward::capture
