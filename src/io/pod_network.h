// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>

#include "base/fd.h"
#include "base/ip.h"
#include "base/status.h"

namespace nodeward::io {

// The narrow door between capture (privileged: enters namespaces, talks to the
// kernel) and the engine (parses what peers send): the engine gets descriptors
// here and never calls setns or bpf itself. One object a pod; thread-safe.
// Opening takes some system calls and never waits for a peer.
class PodNetwork {
 public:
  virtual ~PodNetwork() = default;

  // The pod's network namespace, as SO_NETNS_COOKIE tells it; never reused.
  virtual uint64_t cookie() const = 0;

  // A non-blocking TCP socket in the pod's namespace, unbound, which the
  // connect hooks leave alone: for tunnels and for plaintext to destinations
  // that are not of the mesh.
  virtual base::StatusOr<base::Fd> OpenOutgoing(int family) = 0;

  // A non-blocking TCP socket in the pod's namespace bound to `client` (the
  // connection's true source) that reaches the pod's own application at
  // `application` past the inbound capture. The source port is chosen so that
  // it is none of a captured connection from the same client (see
  // CapturedConnection). Already connecting; await writability, then
  // io::ConnectResult. An EADDRNOTAVAIL is retried inside.
  virtual base::StatusOr<base::Fd> ConnectOnward(
      const base::IpAddress& client, const base::Endpoint& application) = 0;

  // Where the application of a connection accepted on the outbound listener
  // wanted to go; forgets it. No value: it was no captured connection.
  virtual std::optional<base::Endpoint> TakeOriginalDestination(
      const base::Endpoint& peer, const base::Endpoint& local) = 0;

  // The engine holds a captured inbound connection from `client`: its port is
  // not to be used for an onward socket until Released.
  virtual void Captured(const base::Endpoint& client) = 0;
  virtual void Released(const base::Endpoint& client) = 0;
};

}  // namespace nodeward::io
