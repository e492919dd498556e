// SPDX-License-Identifier: Apache-2.0
#include "capture/node_addresses.h"

#include <linux/rtnetlink.h>
#include <sys/epoll.h>

#include <algorithm>

#include "base/log.h"
#include "capture/interfaces.h"

namespace nodeward::capture {

base::StatusOr<std::unique_ptr<NodeAddresses>> NodeAddresses::Watch(
    io::Loop& loop, std::function<void()> changed) {
  // Watching before reading: a change in between is seen twice, not never.
  NODEWARD_ASSIGN(
      Netlink events,
      Netlink::Open(NETLINK_ROUTE, RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR));
  std::unique_ptr<NodeAddresses> addresses(
      new NodeAddresses(loop, std::move(events), std::move(changed)));
  NODEWARD_TRY(addresses->Read());
  NODEWARD_TRY(loop.Add(addresses->events_.fd(), EPOLLIN, addresses.get()));
  return addresses;
}

NodeAddresses::NodeAddresses(io::Loop& loop, Netlink events,
                             std::function<void()> changed)
    : loop_(loop), events_(std::move(events)), changed_(std::move(changed)) {}

NodeAddresses::~NodeAddresses() { loop_.Remove(events_.fd(), this); }

void NodeAddresses::OnEvents(uint32_t) {
  if (!events_.Drain()) return;
  const auto before = addresses_;
  if (const base::Status status = Read(); !status.ok()) {
    base::LogWarn("cannot read the node's addresses; keeping the former ones",
                  {{"error", std::string(status.message())}});
    return;
  }
  if (addresses_ != before) changed_();
}

base::Status NodeAddresses::Read() {
  NODEWARD_ASSIGN(Netlink route, Netlink::Open(NETLINK_ROUTE));
  NODEWARD_ASSIGN(const auto found, DumpAddresses(route));
  addresses_.clear();
  for (const InterfaceAddress& each : found) {
    if (!each.address.is_loopback()) addresses_.push_back(each.address);
  }
  std::sort(addresses_.begin(), addresses_.end());
  addresses_.erase(std::unique(addresses_.begin(), addresses_.end()),
                   addresses_.end());
  return base::OkStatus();
}

}  // namespace nodeward::capture
