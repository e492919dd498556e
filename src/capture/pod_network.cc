// SPDX-License-Identifier: Apache-2.0
#include "capture/pod_network.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "base/text.h"
#include "io/socket.h"
#include "nodeward/abi/capture.h"

namespace nodeward::capture {
namespace {

constexpr int kIpTransparent = 19;    // IP_TRANSPARENT
constexpr int kIpv6Transparent = 75;  // IPV6_TRANSPARENT

// Lets `fd` take a foreign source address, keeps its packets on lo and marks
// them for the way back (steering.h). 0 or errno.
int MakeOnward(int fd, int family) {
  const int on = 1;
  const int mark = NODEWARD_MARK_ONWARD;
  const bool v4 = family == AF_INET;
  if (setsockopt(fd, v4 ? IPPROTO_IP : IPPROTO_IPV6,
                 v4 ? kIpTransparent : kIpv6Transparent, &on,
                 sizeof(on)) != 0 ||
      setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
      setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof(mark)) != 0 ||
      setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "lo", 2) != 0) {
    return errno;
  }
  return 0;
}

// 0: connected or on the way.
int BindAndConnect(int fd, const base::Endpoint& from,
                   const base::Endpoint& to) {
  sockaddr_storage address;
  socklen_t length = from.ToSockaddr(&address);
  if (bind(fd, reinterpret_cast<sockaddr*>(&address), length) != 0) {
    return errno;
  }
  length = to.ToSockaddr(&address);
  if (connect(fd, reinterpret_cast<sockaddr*>(&address), length) != 0 &&
      errno != EINPROGRESS) {
    return errno;
  }
  return 0;
}

}  // namespace

PodNetwork::PodNetwork(NetnsPtr pod, NetnsPtr home,
                       std::shared_ptr<kernel::Hooks> hooks,
                       std::vector<base::IpAddress> addresses)
    : cookie_(pod->cookie()),
      home_(std::move(home)),
      hooks_(std::move(hooks)),
      pod_(std::move(pod)),
      addresses_(std::make_shared<const Addresses>(std::move(addresses))) {}

void PodNetwork::SetAddresses(std::vector<base::IpAddress> addresses) {
  addresses_.store(std::make_shared<const Addresses>(std::move(addresses)));
}

void PodNetwork::Close() { pod_.store(nullptr); }

base::StatusOr<base::Fd> PodNetwork::NewSocket(int family) const {
  base::Fd fd(
      socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP));
  if (!fd.valid()) return base::ErrnoStatus(errno, "open socket in the pod");
  io::SetNoDelay(fd.get());
  NODEWARD_TRY(hooks_->TagAgentSocket(fd.get()));
  return fd;
}

namespace {

base::Status Closed() {
  return absl::FailedPreconditionError(
      "open socket in the pod: the pod has "
      "gone");
}

}  // namespace

base::StatusOr<base::Fd> PodNetwork::OpenOutgoing(int family) {
  const NetnsPtr pod = pod_.load();
  if (pod == nullptr) return Closed();
  base::Fd fd;
  NODEWARD_TRY(pod->Run(*home_, [&]() -> base::Status {
    NODEWARD_ASSIGN(fd, NewSocket(family));
    return base::OkStatus();
  }));
  return fd;
}

base::StatusOr<base::Fd> PodNetwork::ConnectOnward(
    const base::IpAddress& client, const base::Endpoint& application) {
  if (client.family() != application.address.family()) {
    return absl::InvalidArgumentError(
        base::StrCat("connect to the application at ", application.ToString(),
                     " as ", client.ToString(), ": two address families"));
  }
  const NetnsPtr pod = pod_.load();
  if (pod == nullptr) return Closed();
  const auto addresses = addresses_.load();
  const bool local = client.is_loopback() ||
                     std::find(addresses->begin(), addresses->end(), client) !=
                         addresses->end();
  base::Fd fd;
  NODEWARD_TRY(pod->Run(*home_, [&]() -> base::Status {
    NODEWARD_ASSIGN(fd, local ? ConnectLocally(application)
                              : ConnectAs(client, application));
    return base::OkStatus();
  }));
  return fd;
}

base::StatusOr<base::Fd> PodNetwork::ConnectLocally(
    const base::Endpoint& application) const {
  NODEWARD_ASSIGN(base::Fd fd, NewSocket(application.address.family()));
  io::SkipPacing(fd.get());
  // Unbound: the kernel then takes the destination as the source, which is how
  // the inbound hook knows a pod that speaks to itself.
  NODEWARD_TRY(io::StartConnect(fd.get(), application));
  return fd;
}

base::StatusOr<base::Fd> PodNetwork::ConnectAs(
    const base::IpAddress& client, const base::Endpoint& application) {
  const int family = client.family();
  int error = 0;
  for (int attempt = 0; attempt < OnwardPorts::kAttempts; ++attempt) {
    // A new socket each time: one that failed to connect stays bound.
    NODEWARD_ASSIGN(base::Fd fd, NewSocket(family));
    io::SkipPacing(fd.get());
    error = MakeOnward(fd.get(), family);
    if (error != 0) {
      return base::ErrnoStatus(
          error,
          "prepare a socket that speaks from the client's address "
          "(needs CAP_NET_ADMIN)");
    }
    error = BindAndConnect(
        fd.get(), {client, ports_.Candidate(client, attempt)}, application);
    if (error == 0) return fd;
    // The port is taken: by a listener of the pod, or to this destination.
    if (error != EADDRINUSE && error != EADDRNOTAVAIL) break;
  }
  return base::ErrnoStatus(
      error, base::StrCat("connect to the application at ",
                          application.ToString(), " as ", client.ToString()));
}

std::optional<base::Endpoint> PodNetwork::TakeOriginalDestination(
    const base::Endpoint& peer, const base::Endpoint& local) {
  return hooks_->TakeFlow(cookie_, peer, local);
}

void PodNetwork::Captured(const base::Endpoint& client) {
  ports_.Captured(client);
}

void PodNetwork::Released(const base::Endpoint& client) {
  ports_.Released(client);
}

}  // namespace nodeward::capture
