// SPDX-License-Identifier: Apache-2.0
#include "capture/earlier_connections.h"

#include <algorithm>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "base/text.h"
#include "nodeward/abi/capture.h"

namespace nodeward::capture {
namespace {

// A connection that goes on being there after this many rounds is a kernel
// fault, not a race.
constexpr int kRounds = 8;

bool Accepts(const TcpSocket& listener, const TcpSocket& connection) {
  if (listener.local.port != connection.local.port) return false;
  if (!listener.local.address.is_unspecified()) {
    return listener.local.address == connection.local.address;
  }
  // 0.0.0.0 takes IPv4, :: both unless it is v6only.
  return connection.local.address.is_v4()
             ? listener.local.address.is_v4() || !listener.v6_only
             : !listener.local.address.is_v4();
}

}  // namespace

std::vector<TcpSocket> InboundConnections(
    const std::vector<TcpSocket>& connections,
    const std::vector<TcpSocket>& listeners,
    const std::vector<base::IpAddress>& own) {
  absl::flat_hash_set<std::pair<base::Endpoint, base::Endpoint>> tuples;
  for (const TcpSocket& socket : connections) {
    tuples.insert({socket.local, socket.remote});
  }
  absl::flat_hash_map<uint16_t, std::vector<const TcpSocket*>> by_port;
  for (const TcpSocket& listener : listeners) {
    by_port[listener.local.port].push_back(&listener);
  }
  std::vector<TcpSocket> inbound;
  for (const TcpSocket& socket : connections) {
    const base::IpAddress& remote = socket.remote.address;
    if (socket.local.port == NODEWARD_PORT_HBONE || remote.is_loopback() ||
        std::find(own.begin(), own.end(), remote) != own.end() ||
        tuples.contains({socket.remote, socket.local})) {
      continue;
    }
    const auto at_port = by_port.find(socket.local.port);
    const bool accepted =
        at_port != by_port.end() &&
        std::any_of(at_port->second.begin(), at_port->second.end(),
                    [&](const TcpSocket* l) { return Accepts(*l, socket); });
    if (accepted || socket.opener != Opener::kThisEnd) {
      inbound.push_back(socket);
    }
  }
  return inbound;
}

base::Status EarlierConnections::Collect(
    const Netns& pod, const Netns& home,
    const std::vector<base::IpAddress>& own) {
  NODEWARD_ASSIGN(TcpSockets sockets, TcpSockets::OpenIn(pod, home));
  NODEWARD_ASSIGN(const auto listeners, sockets.Listeners());
  NODEWARD_ASSIGN(const auto connections, sockets.Connections());
  connections_ = InboundConnections(connections, listeners, own);
  return base::OkStatus();
}

base::Status EarlierConnections::Destroy(const Netns& pod, const Netns& home,
                                         const Forbids& forbids) {
  const auto is_forbidden = [&](const TcpSocket& socket) {
    return forbids(socket.remote.address, socket.local.port);
  };
  absl::flat_hash_set<uint64_t> doomed;
  for (const TcpSocket& socket : connections_) {
    if (is_forbidden(socket)) doomed.insert(socket.cookie);
  }
  if (doomed.empty()) return base::OkStatus();
  NODEWARD_ASSIGN(TcpSockets sockets, TcpSockets::OpenIn(pod, home));
  for (int round = 0; round < kRounds; ++round) {
    NODEWARD_ASSIGN(auto connections, sockets.Connections());
    std::erase_if(connections, [&](const TcpSocket& socket) {
      return !doomed.contains(socket.cookie);
    });
    if (connections.empty()) {
      std::erase_if(connections_, is_forbidden);
      return base::OkStatus();
    }
    // From this listing: an embryonic connection of the first one may have
    // become a socket, with the same cookie.
    for (const TcpSocket& socket : connections) {
      const base::Status status = sockets.Destroy(socket);
      if (status.code() == absl::StatusCode::kUnimplemented) {
        return absl::UnimplementedError(
            base::StrCat(connections.size(),
                         " plaintext connections from before enrolment "
                         "stay open: this kernel cannot close them (no "
                         "CONFIG_INET_DIAG_DESTROY); restart the pod"));
      }
      if (!status.ok() && status.code() != absl::StatusCode::kNotFound) {
        return base::Annotate(status, "close plaintext connection from " +
                                          socket.remote.ToString());
      }
    }
  }
  return absl::InternalError(
      "close plaintext connections from before enrolment: some are still "
      "there; restart the pod");
}

}  // namespace nodeward::capture
