// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "base/ip.h"
#include "base/status.h"
#include "capture/netlink.h"
#include "io/loop.h"

namespace nodeward::capture {

// The addresses of the node itself (loopback left out), kept up to date: a
// probe comes from one of them. Belongs to the loop's thread, which must be in
// the node's namespace.
class NodeAddresses final : private io::Watcher {
 public:
  // `changed` is called on the loop after each change; the first list is there
  // when this returns.
  static base::StatusOr<std::unique_ptr<NodeAddresses>> Watch(
      io::Loop& loop, std::function<void()> changed);
  ~NodeAddresses();

  const std::vector<base::IpAddress>& addresses() const { return addresses_; }

 private:
  NodeAddresses(io::Loop& loop, Netlink events, std::function<void()> changed);
  void OnEvents(uint32_t events) override;
  base::Status Read();

  io::Loop& loop_;
  Netlink events_;
  std::function<void()> changed_;
  std::vector<base::IpAddress> addresses_;  // sorted
};

}  // namespace nodeward::capture
