// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "base/ip.h"
#include "base/status.h"
#include "capture/netns.h"
#include "capture/tcp_sockets.h"

namespace nodeward::capture {

// Of all sockets of a pod: the plaintext connections into it that go past the
// agent, because they are older than the capture. `own`: the pod's addresses. A
// connection counts as inbound unless it can be told as outgoing: its port has
// no listener and its counters say that this end opened it. Left out: loopback,
// the pod to itself, both ends in the pod (an agent's onward connection), and
// port 15008.
std::vector<TcpSocket> InboundConnections(
    const std::vector<TcpSocket>& connections,
    const std::vector<TcpSocket>& listeners,
    const std::vector<base::IpAddress>& own);

// The connections into one pod that were there before its capture, by the
// kernel's cookies; destroyed as soon as plaintext is forbidden to them.
class EarlierConnections {
 public:
  // Is plaintext from `source` to the pod's `port` forbidden?
  using Forbids =
      std::function<bool(const base::IpAddress& source, uint16_t port)>;

  // Remembers what is there now. REQUIRES: new connections are captured
  // already, and none has been given to the agent yet.
  base::Status Collect(const Netns& pod, const Netns& home,
                       const std::vector<base::IpAddress>& own);
  // Destroys those that `forbids` and goes on until a listing shows none of
  // them. An error leaves them remembered; kUnimplemented: the kernel cannot,
  // and the message says how many stay open.
  base::Status Destroy(const Netns& pod, const Netns& home,
                       const Forbids& forbids);

  // What another agent has remembered of this pod.
  void Take(std::vector<TcpSocket> connections) {
    connections_ = std::move(connections);
  }
  const std::vector<TcpSocket>& connections() const { return connections_; }
  size_t size() const { return connections_.size(); }

 private:
  std::vector<TcpSocket> connections_;
};

}  // namespace nodeward::capture
