// SPDX-License-Identifier: Apache-2.0
#include "capture/steering.h"

#include <linux/fib_rules.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include "base/text.h"
#include "capture/netlink.h"
#include "nodeward/abi/capture.h"

namespace nodeward::capture {
namespace {

constexpr char kAccept[] = "net/ipv4/tcp_fwmark_accept";
constexpr char kReflect4[] = "net/ipv4/fwmark_reflect";
constexpr char kReflect6[] = "net/ipv6/fwmark_reflect";
constexpr int kLoopbackIndex = 1;  // the same in every namespace

NetlinkRequest Rule(uint16_t type, uint16_t flags, int family) {
  fib_rule_hdr head{};
  head.family = static_cast<uint8_t>(family);
  head.action = FR_ACT_TO_TBL;
  NetlinkRequest request(type, flags);
  request.Struct(head)
      .Attribute(FRA_PRIORITY, kSteeringPreference)
      .Attribute(FRA_FWMARK, NODEWARD_MARK_ONWARD)
      .Attribute(FRA_FWMASK, 0xffffffff)
      .Attribute(FRA_TABLE, kSteeringTable);
  return request;
}

NetlinkRequest Route(uint16_t type, uint16_t flags, int family) {
  rtmsg head{};
  head.rtm_family = static_cast<uint8_t>(family);
  head.rtm_table = RT_TABLE_UNSPEC;
  head.rtm_protocol = RTPROT_STATIC;
  head.rtm_scope = RT_SCOPE_HOST;
  head.rtm_type = RTN_LOCAL;
  NetlinkRequest request(type, flags);
  request.Struct(head)
      .Attribute(RTA_TABLE, kSteeringTable)
      .Attribute(RTA_OIF, kLoopbackIndex);
  return request;
}

std::string_view Name(int family) {
  return family == AF_INET ? "IPv4" : "IPv6";
}

base::Status InstallFamily(Netlink& route, int family, bool* was_there) {
  NODEWARD_TRY(
      route.Ask(Route(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, family),
                base::StrCat("add the pod's ", Name(family),
                             " route to lo (is lo up in the pod?)")));
  // NLM_F_EXCL: the kernel would add a second, equal rule otherwise.
  const base::Status status =
      route.Ask(Rule(RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL, family),
                base::StrCat("add the pod's ", Name(family), " routing rule"));
  if (status.code() != absl::StatusCode::kAlreadyExists) return status;
  *was_there = true;
  return base::OkStatus();
}

base::Status RemoveFamily(Netlink& route, int family) {
  for (NetlinkRequest& request : std::vector<NetlinkRequest>{
           Rule(RTM_DELRULE, 0, family), Route(RTM_DELROUTE, 0, family)}) {
    const base::Status status =
        route.Ask(std::move(request), "remove the pod's rule and route");
    if (!status.ok() && status.code() != absl::StatusCode::kNotFound) {
      return status;
    }
  }
  return base::OkStatus();
}

bool HasIpv6(const Netns& pod, const Netns& home) {
  const auto off = ReadSysctl(pod, home, "net/ipv6/conf/lo/disable_ipv6");
  return off.ok() && *off == 0;
}

}  // namespace

std::vector<Sysctl> DefaultSysctls() {
  return {{kAccept, 0}, {kReflect4, 0}, {kReflect6, 0}};
}

base::StatusOr<std::vector<Sysctl>> InstallSteering(const Netns& pod,
                                                    const Netns& home) {
  const bool ipv6 = HasIpv6(pod, home);
  bool was_there = false;
  const base::Status status = pod.Run(home, [&]() -> base::Status {
    NODEWARD_ASSIGN(Netlink route, Netlink::Open(NETLINK_ROUTE));
    NODEWARD_TRY(InstallFamily(route, AF_INET, &was_there));
    if (!ipv6) return base::OkStatus();
    return InstallFamily(route, AF_INET6, &was_there);
  });
  NODEWARD_TRY(status);
  std::vector<Sysctl> former;
  std::vector<Sysctl> wanted;
  for (const Sysctl& setting : DefaultSysctls()) {
    const auto value = ReadSysctl(pod, home, setting.name);
    if (!value.ok()) {
      if (value.status().code() == absl::StatusCode::kNotFound) continue;
      return value.status();
    }
    former.push_back({setting.name, was_there ? setting.value : *value});
    if (*value != 1) wanted.push_back({setting.name, 1});
  }
  if (!wanted.empty()) NODEWARD_TRY(WriteSysctls(pod, home, wanted));
  return former;
}

base::Status RemoveSteering(const Netns& pod, const Netns& home,
                            const std::vector<Sysctl>& former) {
  base::Status status = WriteSysctls(pod, home, former);
  status.Update(pod.Run(home, [&]() -> base::Status {
    NODEWARD_ASSIGN(Netlink route, Netlink::Open(NETLINK_ROUTE));
    NODEWARD_TRY(RemoveFamily(route, AF_INET));
    const base::Status six = RemoveFamily(route, AF_INET6);
    // A kernel without IPv6 has nothing to remove.
    return six.code() == absl::StatusCode::kUnimplemented ? base::OkStatus()
                                                          : six;
  }));
  return status;
}

base::StatusOr<bool> HasSteering(const Netns& pod, const Netns& home) {
  bool found = false;
  NODEWARD_TRY(pod.Run(home, [&]() -> base::Status {
    NODEWARD_ASSIGN(Netlink route, Netlink::Open(NETLINK_ROUTE));
    NetlinkRequest request(RTM_GETRULE, 0);
    request.Struct(fib_rule_hdr{});
    return route.Dump(
        std::move(request), "list routing rules",
        [&](uint16_t type, base::ByteSpan payload) {
          if (type != RTM_NEWRULE) return;
          const auto attributes = AttributesAfter<fib_rule_hdr>(payload);
          if (attributes.FindU32(FRA_FWMARK) == NODEWARD_MARK_ONWARD &&
              attributes.FindU32(FRA_TABLE) == kSteeringTable) {
            found = true;
          }
        });
  }));
  return found;
}

}  // namespace nodeward::capture
