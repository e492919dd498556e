// SPDX-License-Identifier: Apache-2.0
#include "capture/interfaces.h"

#include <linux/if_link.h>
#include <linux/net_namespace.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <algorithm>

#include "base/text.h"

namespace nodeward::capture {
namespace {

constexpr int kDumpTries = 5;

std::string Text(base::ByteSpan bytes) {
  const std::string_view text = base::AsText(bytes);
  return std::string(text.substr(0, text.find('\0')));
}

// From the payload of an RTM_NEWLINK.
Interface FromLink(base::ByteSpan payload) {
  Interface found;
  const auto* info = NetlinkStruct<ifinfomsg>(payload);
  if (info == nullptr) return found;
  const auto attributes = AttributesAfter<ifinfomsg>(payload);
  found.index = info->ifi_index;
  if (auto name = attributes.Find(IFLA_IFNAME)) found.name = Text(*name);
  if (auto link_info = attributes.Find(IFLA_LINKINFO)) {
    const auto kind = NetlinkAttributes(*link_info).Find(IFLA_INFO_KIND);
    if (kind.has_value()) found.kind = Text(*kind);
  }
  found.peer = static_cast<int>(attributes.FindU32(IFLA_LINK).value_or(0));
  if (auto netns = attributes.FindU32(IFLA_LINK_NETNSID)) {
    found.peer_netns = static_cast<int>(*netns);
  }
  return found;
}

// The number by which the namespace of `route` knows `netns`.
base::StatusOr<int> NetnsNumber(Netlink& route, const Netns& netns) {
  NetlinkRequest request(RTM_GETNSID, 0);
  request.Struct(rtgenmsg{.rtgen_family = AF_UNSPEC})
      .Attribute(NETNSA_FD, static_cast<uint32_t>(netns.fd()));
  int number = NETNSA_NSID_NOT_ASSIGNED;
  NODEWARD_TRY(route.Get(std::move(request), "ask for a namespace's number",
                         [&](uint16_t, base::ByteSpan payload) {
                           const auto value =
                               AttributesAfter<rtgenmsg>(payload).FindU32(
                                   NETNSA_NSID);
                           if (value.has_value())
                             number = static_cast<int>(*value);
                         }));
  return number;
}

base::Status NoHostInterface(std::string_view why) {
  return absl::NotFoundError(
      base::StrCat("find the host side of the pod's interface: ", why));
}

}  // namespace

base::StatusOr<Interface> GetInterface(Netlink& route, int index) {
  ifinfomsg head{};
  head.ifi_family = AF_UNSPEC;
  head.ifi_index = index;
  NetlinkRequest request(RTM_GETLINK, 0);
  request.Struct(head);
  Interface found;
  NODEWARD_TRY(route.Get(std::move(request),
                         base::StrCat("read interface ", index),
                         [&](uint16_t type, base::ByteSpan payload) {
                           if (type == RTM_NEWLINK) found = FromLink(payload);
                         }));
  return found;
}

base::StatusOr<std::vector<InterfaceAddress>> DumpAddresses(Netlink& route) {
  for (int i = 0;; ++i) {
    std::vector<InterfaceAddress> addresses;
    NetlinkRequest request(RTM_GETADDR, 0);
    request.Struct(ifaddrmsg{});
    const base::Status status = route.Dump(
        std::move(request), "list addresses",
        [&](uint16_t type, base::ByteSpan payload) {
          const auto* info = NetlinkStruct<ifaddrmsg>(payload);
          if (type != RTM_NEWADDR || info == nullptr) return;
          const auto attributes = AttributesAfter<ifaddrmsg>(payload);
          // On point-to-point links IFA_ADDRESS is the other end's.
          auto address = attributes.FindAddress(IFA_LOCAL);
          if (!address) address = attributes.FindAddress(IFA_ADDRESS);
          if (!address) return;
          addresses.push_back({static_cast<int>(info->ifa_index), *address});
        });
    if (status.ok()) return addresses;
    if (status.code() != absl::StatusCode::kAborted || i == kDumpTries) {
      return status;
    }
  }
}

base::StatusOr<bool> IsLinkedTo(const Netns& netns, const Netns& home) {
  bool linked = false;
  const base::Status status = netns.Run(home, [&]() -> base::Status {
    NODEWARD_ASSIGN(Netlink route, Netlink::Open(NETLINK_ROUTE));
    std::vector<int> numbers;
    NetlinkRequest request(RTM_GETLINK, 0);
    request.Struct(ifinfomsg{});
    // An inconsistent listing will do: interfaces of pods come and go whole.
    const base::Status listed =
        route.Dump(std::move(request), "list interfaces",
                   [&](uint16_t type, base::ByteSpan payload) {
                     if (type != RTM_NEWLINK) return;
                     const Interface each = FromLink(payload);
                     if (each.peer_netns) numbers.push_back(*each.peer_netns);
                   });
    if (!listed.ok() && listed.code() != absl::StatusCode::kAborted) {
      return listed;
    }
    // After the listing, which is what gives namespaces their numbers.
    NODEWARD_ASSIGN(const int number, NetnsNumber(route, home));
    linked = number >= 0 &&
             std::find(numbers.begin(), numbers.end(), number) != numbers.end();
    return base::OkStatus();
  });
  NODEWARD_TRY(status);
  return linked;
}

base::StatusOr<HostInterface> FindHostInterface(
    const Netns& pod, const Netns& home,
    const std::vector<base::IpAddress>& pod_ips) {
  Interface inside;
  NODEWARD_TRY(pod.Run(home, [&]() -> base::Status {
    NODEWARD_ASSIGN(Netlink route, Netlink::Open(NETLINK_ROUTE));
    NODEWARD_ASSIGN(const auto addresses, DumpAddresses(route));
    const auto ours = std::find_if(
        addresses.begin(), addresses.end(), [&](const InterfaceAddress& a) {
          return std::find(pod_ips.begin(), pod_ips.end(), a.address) !=
                 pod_ips.end();
        });
    if (ours == addresses.end()) {
      return NoHostInterface("no interface in the pod carries its address");
    }
    NODEWARD_ASSIGN(inside, GetInterface(route, ours->index));
    return base::OkStatus();
  }));
  // Other kinds (macvlan, ipvlan) have a parent in the same attribute.
  if (inside.kind != "veth" || inside.peer == 0) {
    return NoHostInterface(base::StrCat("the pod's interface ", inside.name,
                                        " is of kind '", inside.kind,
                                        "', not one end of a veth pair"));
  }
  NODEWARD_ASSIGN(Netlink route, Netlink::Open(NETLINK_ROUTE));
  const auto outside = GetInterface(route, inside.peer);
  if (!outside.ok() || outside->kind != "veth" ||
      outside->peer != inside.index || !outside->peer_netns.has_value()) {
    return NoHostInterface(base::StrCat(
        "the other end of ", inside.name,
        " is not in the node's network namespace (start the agent there)"));
  }
  // Interface numbers repeat between namespaces: does it lead to this pod?
  NODEWARD_ASSIGN(const int number, NetnsNumber(route, pod));
  if (number != *outside->peer_netns) {
    return NoHostInterface(
        base::StrCat("interface ", outside->name, " belongs to another pod"));
  }
  return HostInterface{outside->index, outside->name};
}

}  // namespace nodeward::capture
