// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/ip.h"
#include "base/status.h"
#include "capture/netlink.h"
#include "capture/netns.h"

namespace nodeward::capture {

// A network interface as rtnetlink tells it.
struct Interface {
  int index = 0;
  std::string name;
  std::string kind;  // "veth", "macvlan" …; empty: a plain device
  int peer = 0;      // veth: index of the other end; 0: none
  // The peer's namespace by the number that the asking namespace gives it;
  // none: the same namespace.
  std::optional<int> peer_netns;
};

struct InterfaceAddress {
  int index = 0;
  base::IpAddress address;
};

// `route`: a NETLINK_ROUTE socket; the answers are those of its namespace.
base::StatusOr<Interface> GetInterface(Netlink& route, int index);
base::StatusOr<std::vector<InterfaceAddress>> DumpAddresses(Netlink& route);

// Is an interface of `netns` one end of something whose other end, or lower
// device, lies in `home` (veth, netkit, macvlan …)? So it is with a node's
// pods.
base::StatusOr<bool> IsLinkedTo(const Netns& netns, const Netns& home);

// The host's end of a pod's veth pair.
struct HostInterface {
  int index = 0;
  std::string name;
};

// Finds it from inside: the interface that carries one of `pod_ips`, whatever
// its name, is a veth whose other end lies in `home` and points back here. An
// error says which of that does not hold.
base::StatusOr<HostInterface> FindHostInterface(
    const Netns& pod, const Netns& home,
    const std::vector<base::IpAddress>& pod_ips);

}  // namespace nodeward::capture
