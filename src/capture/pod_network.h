// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <vector>

#include "base/fd.h"
#include "base/ip.h"
#include "base/status.h"
#include "capture/netns.h"
#include "capture/onward_ports.h"
#include "io/pod_network.h"
#include "kernel/hooks.h"

namespace nodeward::capture {

// The engine's door into one pod. The namespace's descriptor is let go by
// Close, however long the engine keeps the object.
class PodNetwork final : public io::PodNetwork {
 public:
  PodNetwork(NetnsPtr pod, NetnsPtr home, std::shared_ptr<kernel::Hooks> hooks,
             std::vector<base::IpAddress> addresses);

  // The addresses that are this pod's own: an onward connection from one of
  // them is an ordinary connection. Thread-safe.
  void SetAddresses(std::vector<base::IpAddress> addresses);
  // Opens nothing any more (kFailedPrecondition). Thread-safe.
  void Close();

  uint64_t cookie() const override { return cookie_; }
  base::StatusOr<base::Fd> OpenOutgoing(int family) override;
  base::StatusOr<base::Fd> ConnectOnward(
      const base::IpAddress& client,
      const base::Endpoint& application) override;
  std::optional<base::Endpoint> TakeOriginalDestination(
      const base::Endpoint& peer, const base::Endpoint& local) override;
  void Captured(const base::Endpoint& client) override;
  void Released(const base::Endpoint& client) override;

 private:
  using Addresses = std::vector<base::IpAddress>;

  // All three: REQUIRES: the calling thread is in the pod's namespace.
  base::StatusOr<base::Fd> NewSocket(int family) const;
  base::StatusOr<base::Fd> ConnectLocally(
      const base::Endpoint& application) const;
  base::StatusOr<base::Fd> ConnectAs(const base::IpAddress& client,
                                     const base::Endpoint& application);

  const uint64_t cookie_;
  const NetnsPtr home_;
  const std::shared_ptr<kernel::Hooks> hooks_;
  std::atomic<NetnsPtr> pod_;  // null after Close
  std::atomic<std::shared_ptr<const Addresses>> addresses_;
  OnwardPorts ports_;
};

}  // namespace nodeward::capture
