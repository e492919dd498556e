// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/ip.h"
#include "capture/netns.h"

namespace nodeward::capture {

// Runs a command line; the test fails with its text when it does not return 0.
void Sh(const std::string& command);

base::IpAddress Ip(std::string_view text);
base::Endpoint At(std::string_view text);  // "10.77.0.2:80"

// A node: a network namespace of its own that the thread which makes it, and
// every thread begun after, is in until this goes. A bridge `br0` with
// 10.77.0.1/24 and fd77::1/64 joins its pods.
class TestNode {
 public:
  TestNode();
  ~TestNode();
  TestNode(const TestNode&) = delete;

  const Netns& netns() const { return *netns_; }
  NetnsPtr ptr() const { return netns_; }

 private:
  NetnsPtr before_;
  NetnsPtr netns_;
};

// A pod: a named namespace with `interface` (10.77.0.<number>, and
// fd77::<number> unless without IPv6) on the node's bridge. Its host side is
// v<number>.
class TestPod {
 public:
  struct Shape {
    int number = 2;
    bool ipv6 = true;
    std::string interface = "eth0";
  };
  TestPod(const TestNode& node, Shape shape);
  ~TestPod();
  TestPod(const TestPod&) = delete;

  std::string path() const { return "/run/netns/" + name_; }
  const std::string& name() const { return name_; }
  base::IpAddress v4() const;
  base::IpAddress v6() const;
  std::vector<base::IpAddress> ips() const;
  std::string host_interface() const;
  const Netns& netns() const { return *netns_; }
  NetnsPtr ptr() const { return netns_; }
  // Lets go of the namespace, so that nothing of the test keeps it alive.
  void Release() { netns_.reset(); }
  // `ip netns del`.
  void Delete();

  // `work` inside the pod.
  void Run(const std::function<void()>& work) const;
  // A listening socket there, not the agent's; port 0: any.
  base::Fd Listen(const base::Endpoint& at, bool reuse_port = false) const;
  // A connected (or connecting) blocking socket from there; invalid and errno
  // when refused.
  base::Fd Connect(const base::Endpoint& to) const;

 private:
  const TestNode& node_;
  const Shape shape_;
  const std::string name_;
  NetnsPtr netns_;
  bool deleted_ = false;
};

// Awaits `condition`, looking every 2 ms for at most 20 s.
bool Await(const std::function<bool()>& condition);

// Number of open descriptors of this process.
int OpenFds();
// One byte from `fd` within 20 s; -1: end or error.
int ReadByte(int fd);
base::Fd AcceptOne(int listener, base::Endpoint* peer = nullptr);

}  // namespace nodeward::capture
