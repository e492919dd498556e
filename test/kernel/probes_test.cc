// SPDX-License-Identifier: Apache-2.0
#include "kernel/probes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

#include "base/text.h"
#include "kernel/hooks.h"
#include "kernel/netns_fixture.h"
#include "kernel/stream_fixture.h"

namespace nodeward::kernel {
namespace {

using test::At;
using test::Dial;

// A closed pod (no listener in its slots) whose port 80 is a probe port, on a
// node with a kubelet in a cgroup of its own.
class ProbesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    kubelet_ = sandbox_.AddCgroup("kubelet");
    inside_ = std::make_unique<test::InNetns>(node_.netns());
    auto hooks = Hooks::Load({.bpf_dir = sandbox_.bpf_dir() + "/nodeward",
                              .cgroup_path = sandbox_.cgroup()});
    ASSERT_TRUE(hooks.ok()) << hooks.status().ToString();
    hooks_ = *std::move(hooks);
    app_ = test::Listen(pod_.netns, At("[::]:80"));
    other_app_ = test::Listen(pod_.netns, At("[::]:81"));
    uint64_t cookie = pod_.netns.cookie();
    ASSERT_TRUE(hooks_->AttachLookup(cookie, pod_.netns.fd()).ok());
    base::Status status = hooks_->AttachProbe(cookie, pod_.ifindex, false);
    ASSERT_TRUE(status.ok()) << status.ToString();
    ASSERT_TRUE(
        hooks_->SetKubeletCgroups({test::Sandbox::CgroupId(kubelet_)}).ok());
    ASSERT_TRUE(hooks_->SetNodeAddresses({node_.v4(), node_.v6()}).ok());
    ASSERT_TRUE(
        hooks_->SetProbePorts(cookie, {{pod_.v4, 80}, {pod_.v6, 80}}).ok());
  }

  // What a process of the kubelet's gets from connect(); `source_port` 0: any.
  int Probe(const base::Endpoint& to, uint16_t source_port = 0,
            const base::IpAddress* source = nullptr) {
    return test::RunInCgroup(
        kubelet_, [&] { return ConnectFrom(to, source_port, source); });
  }
  // The same from a process of the node in another cgroup.
  int Other(const base::Endpoint& to, uint16_t source_port = 0) {
    return test::RunInCgroup(sandbox_.cgroup(), [&] {
      return ConnectFrom(to, source_port, nullptr);
    });
  }
  static int ConnectFrom(const base::Endpoint& to, uint16_t source_port,
                         const base::IpAddress* source) {
    base::Fd fd(socket(to.address.family(), SOCK_STREAM, 0));
    int one = 1;
    setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    base::IpAddress any =
        to.address.is_v4() ? base::IpAddress::V4(0) : base::IpAddress();
    if (!test::Bind(fd.get(), {source ? *source : any, source_port}))
      return 254;
    // RST instead of TIME_WAIT, so that the port is free for the next.
    linger reset{.l_onoff = 1, .l_linger = 0};
    setsockopt(fd.get(), SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
    return test::Connect(fd.get(), to);
  }
  uint64_t Counter(const std::string& name) {
    return hooks_->Counters().at(name);
  }

  test::Sandbox sandbox_;
  std::string kubelet_;
  test::Node node_;
  test::Pod pod_ = node_.AddPod(10);
  test::Pod client_ = node_.AddPod(20);
  std::unique_ptr<test::InNetns> inside_;
  std::unique_ptr<Hooks> hooks_;
  base::Fd app_, other_app_;
};

TEST_F(ProbesTest, KubeletReachesTheApplication) {
  EXPECT_EQ(Probe({pod_.v4, 80}), 0);
  EXPECT_TRUE(test::Accept(app_.get()).valid());
  EXPECT_EQ(Probe({pod_.v6, 80}), 0);
  EXPECT_TRUE(test::Accept(app_.get()).valid());
  EXPECT_EQ(Counter("probe_exempted"), 2u);
  EXPECT_EQ(Counter("lookup_exempt"), 2u);
}

TEST_F(ProbesTest, OthersWithTheSameSourceAreRefused) {
  EXPECT_EQ(Other({pod_.v4, 80}), ECONNREFUSED);
  EXPECT_EQ(Other({pod_.v6, 80}), ECONNREFUSED);
  EXPECT_FALSE(test::HasConnection(app_.get()));
  EXPECT_EQ(Counter("probe_exempted"), 0u);
}

TEST_F(ProbesTest, OnlyDeclaredPortsOfThatPod) {
  EXPECT_EQ(Probe({pod_.v4, 81}), ECONNREFUSED);
  EXPECT_FALSE(test::HasConnection(other_app_.get()));
  uint64_t cookie = pod_.netns.cookie();
  ASSERT_TRUE(hooks_->SetProbePorts(cookie, {{pod_.v4, 81}}).ok());
  EXPECT_EQ(Probe({pod_.v4, 81}), 0);
  EXPECT_EQ(Probe({pod_.v4, 80}), ECONNREFUSED);
  // Another pod's declaration does not help.
  ASSERT_TRUE(hooks_->SetProbePorts(cookie, {}).ok());
  ASSERT_TRUE(hooks_->SetProbePorts(cookie + 1, {{pod_.v4, 80}}).ok());
  EXPECT_EQ(Probe({pod_.v4, 80}), ECONNREFUSED);
}

TEST_F(ProbesTest, OnlyFromTheNodesAddresses) {
  ASSERT_TRUE(hooks_->SetNodeAddresses({node_.v6()}).ok());
  EXPECT_EQ(Probe({pod_.v4, 80}), ECONNREFUSED);
  EXPECT_EQ(Probe({pod_.v6, 80}), 0);
}

TEST_F(ProbesTest, OnlyTheKubeletsCgroup) {
  ASSERT_TRUE(hooks_->SetKubeletCgroups({}).ok());
  EXPECT_EQ(Probe({pod_.v4, 80}), ECONNREFUSED);
}

TEST_F(ProbesTest, ForwardedTrafficWithTheNodesAddressIsRefused) {
  // A client behind the node, masqueraded to the address the probes come from.
  test::Netns outside;
  node_.netns().Sh(base::StrCat(
      "ip link add out type veth peer name eth0 netns /proc/", getpid(), "/fd/",
      outside.fd(),
      "; ip link set out up; ip addr add 10.66.0.1/24 dev out; "
      "nft add table ip t; nft add chain ip t p '{ type nat hook postrouting "
      "priority 100; }'; nft add rule ip t p ip saddr 10.66.0.2 snat to ",
      node_.v4().ToString()));
  outside.Sh(
      "ip link set eth0 up; ip addr add 10.66.0.2/24 dev eth0; ip route add "
      "default via 10.66.0.1");
  EXPECT_EQ(Dial(outside, {pod_.v4, 80}).error, ECONNREFUSED);
  EXPECT_FALSE(test::HasConnection(app_.get()));
  // It got there, and as the node: else this test would show nothing.
  ASSERT_TRUE(hooks_->DetachLookup(pod_.netns.cookie()).ok());
  test::Connection c = Dial(outside, {pod_.v4, 80});
  ASSERT_EQ(c.error, 0);
  EXPECT_EQ(test::Peer(test::Accept(app_.get()).get()).address, node_.v4());
}

TEST_F(ProbesTest, AnotherPodIsRefused) {
  EXPECT_EQ(Dial(client_.netns, {pod_.v4, 80}).error, ECONNREFUSED);
  EXPECT_EQ(Dial(client_.netns, {pod_.v6, 80}).error, ECONNREFUSED);
}

TEST_F(ProbesTest, NobodyFollowsInAProbesTuple) {
  ASSERT_EQ(Probe({pod_.v4, 80}, 5555), 0);
  EXPECT_TRUE(test::Accept(app_.get()).valid());
  EXPECT_EQ(Other({pod_.v4, 80}, 5555), ECONNREFUSED);
  EXPECT_FALSE(test::HasConnection(app_.get()));
  EXPECT_EQ(Probe({pod_.v4, 80}, 5555), 0);
}

TEST_F(ProbesTest, EventsTellPodPortAndSource) {
  pollfd wait{.fd = hooks_->probe_events_fd(), .events = POLLIN, .revents = 0};
  EXPECT_EQ(poll(&wait, 1, 0), 0);
  ASSERT_EQ(Probe({pod_.v4, 80}, 6666), 0);
  EXPECT_EQ(poll(&wait, 1, 10000), 1);
  std::vector<ProbeEvent> events;
  hooks_->DrainProbeEvents(
      [&](const ProbeEvent& event) { events.push_back(event); });
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].cookie, pod_.netns.cookie());
  EXPECT_EQ(events[0].pod, (base::Endpoint{pod_.v4, 80}));
  EXPECT_EQ(events[0].source, (base::Endpoint{node_.v4(), 6666}));
  EXPECT_EQ(events[0].cgroup, test::Sandbox::CgroupId(kubelet_));
  EXPECT_EQ(poll(&wait, 1, 0), 0);
}

TEST_F(ProbesTest, SynCookiesDoNotLoseTheExemption) {
  pod_.netns.Sh("echo 2 > /proc/sys/net/ipv4/tcp_syncookies");
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(Probe({pod_.v4, 80}), 0);
    EXPECT_TRUE(test::Accept(app_.get()).valid());
  }
}

TEST_F(ProbesTest, DetachedVethExemptsNobody) {
  ASSERT_TRUE(hooks_->DetachProbe(pod_.ifindex).ok());
  EXPECT_EQ(Probe({pod_.v4, 80}), ECONNREFUSED);
  EXPECT_TRUE(hooks_->DetachProbe(pod_.ifindex).ok());
}

TEST_F(ProbesTest, ClosedVethDropsPlaintextOnly) {
  uint64_t cookie = pod_.netns.cookie();
  ASSERT_TRUE(hooks_->DetachLookup(cookie).ok());
  ASSERT_TRUE(hooks_->AttachProbe(cookie, pod_.ifindex, true).ok());
  base::Fd hbone = test::Listen(pod_.netns, At("[::]:15008"));
  EXPECT_EQ(Dial(client_.netns, {pod_.v4, 15008}).error, 0);
  EXPECT_EQ(Probe({pod_.v4, 80}), 0);
  EXPECT_TRUE(test::Accept(app_.get()).valid());
  base::Fd fd = client_.netns.Socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK);
  EXPECT_EQ(test::Connect(fd.get(), {pod_.v4, 80}), EINPROGRESS);
  // Answered or dropped: either way it ends.
  pollfd wait{.fd = fd.get(), .events = POLLOUT, .revents = 0};
  while (Counter("probe_closed") == 0) ASSERT_EQ(poll(&wait, 1, 1), 0);
  EXPECT_FALSE(test::HasConnection(app_.get()));
  // What the pod itself opens still gets its answers.
  base::Fd server = test::Listen(client_.netns, {client_.v4, 90});
  EXPECT_EQ(Dial(pod_.netns, {client_.v4, 90}).error, 0);
}

TEST_F(ProbesTest, FullMapNamesThePort) {
  std::vector<base::Endpoint> ports;
  for (int i = 0; i < 20000; ++i)
    ports.push_back({pod_.v4, static_cast<uint16_t>(i + 1)});
  base::Status status = hooks_->SetProbePorts(pod_.netns.cookie(), ports);
  EXPECT_TRUE(absl::IsResourceExhausted(status)) << status.ToString();
  EXPECT_THAT(status.ToString(), ::testing::HasSubstr("10.77.0.10:"));
  EXPECT_THAT(status.ToString(), ::testing::HasSubstr("probe_ports"));
}

TEST_F(ProbesTest, AttachNamesTheInterfaceThatIsNone) {
  base::Status status = hooks_->AttachProbe(1, 999999, false);
  EXPECT_THAT(status.ToString(), ::testing::HasSubstr("999999"));
  EXPECT_THAT(hooks_->KnownPods(), ::testing::Not(::testing::Contains(1u)));
}

}  // namespace
}  // namespace nodeward::kernel
