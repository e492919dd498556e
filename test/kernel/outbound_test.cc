// SPDX-License-Identifier: Apache-2.0
#include "kernel/outbound.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/capability.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <set>
#include <thread>

#include "base/text.h"
#include "kernel/destinations.h"
#include "kernel/hooks.h"
#include "kernel/netns_fixture.h"
#include "kernel/stream_fixture.h"

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

namespace nodeward::kernel {
namespace {

using test::At;
using test::Connect;
using test::Connection;
using test::Dial;
using test::Ip;

// A pod with the agent's outbound listeners, on a node with a peer that has an
// address the mesh serves and one it does not.
class OutboundTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto hooks = Hooks::Load({.bpf_dir = sandbox_.bpf_dir() + "/nodeward",
                              .cgroup_path = sandbox_.cgroup()});
    ASSERT_TRUE(hooks.ok()) << hooks.status().ToString();
    hooks_ = *std::move(hooks);
    outbound4_ = test::Listen(pod_.netns, At("0.0.0.0:15001"), "lo");
    outbound6_ = test::Listen(pod_.netns, At("[::1]:15001"));
    ASSERT_TRUE(
        hooks_->EnableConnect(pod_.netns.cookie(), &pod_.v4, &pod_.v6).ok());
    Serve({{served4_.address, Action::kCapture, {}},
           {served6_.address, Action::kCapture, {}}});
  }

  void Serve(const std::vector<Destination>& destinations) {
    base::Status status = hooks_->SetDestinations(destinations);
    ASSERT_TRUE(status.ok()) << status.ToString();
  }

  // The agent's accept(): where did this connection want to go?
  std::optional<base::Endpoint> AcceptAtAgent(int listener,
                                              base::Fd* agent = nullptr) {
    base::Fd fd = test::Accept(listener);
    if (!fd.valid()) return std::nullopt;
    auto to = hooks_->TakeFlow(pod_.netns.cookie(), test::Peer(fd.get()),
                               test::Local(fd.get()));
    if (agent != nullptr) *agent = std::move(fd);
    return to;
  }

  // Captured, and both ends see what they should.
  void ExpectCaptured(int client, const base::Endpoint& to, int listener) {
    EXPECT_EQ(test::Peer(client), to);
    base::Fd agent;
    auto original = AcceptAtAgent(listener, &agent);
    ASSERT_TRUE(original.has_value());
    EXPECT_EQ(*original, to);
    EXPECT_TRUE(test::Send(agent.get(), "from the agent"));
    EXPECT_EQ(test::Receive(client), "from the agent");
  }

  uint64_t Counter(const std::string& name) {
    return hooks_->Counters().at(name);
  }

  test::Sandbox sandbox_;
  test::Node node_;
  test::Pod pod_ = node_.AddPod(10);
  test::Pod peer_ = node_.AddPod(20);
  const base::Endpoint served4_{peer_.v4, 8000};
  const base::Endpoint served6_{peer_.v6, 8000};
  std::unique_ptr<Hooks> hooks_;
  base::Fd outbound4_, outbound6_;
};

TEST_F(OutboundTest, CapturesWithThePodsAddressAsSource) {
  Connection c = Dial(pod_.netns, served4_);
  ASSERT_EQ(c.error, 0);
  EXPECT_EQ(test::Local(c.fd.get()).address, pod_.v4);
  ExpectCaptured(c.fd.get(), served4_, outbound4_.get());
  EXPECT_EQ(Counter("connect_captured"), 1u);
  EXPECT_EQ(Counter("flow_published"), 1u);
}

TEST_F(OutboundTest, CapturesIpv6) {
  Connection c = Dial(pod_.netns, served6_);
  ASSERT_EQ(c.error, 0);
  EXPECT_EQ(test::Local(c.fd.get()).address, pod_.v6);
  ExpectCaptured(c.fd.get(), served6_, outbound6_.get());
}

TEST_F(OutboundTest, CapturesMappedSocketsAtTheIpv4Listener) {
  Connection c = Dial(pod_.netns, served4_, AF_INET6);
  ASSERT_EQ(c.error, 0);
  EXPECT_EQ(test::Local(c.fd.get()).address, pod_.v4);
  ExpectCaptured(c.fd.get(), served4_, outbound4_.get());
}

TEST_F(OutboundTest, OnlyWhatIsRedirectedSkipsPacing) {
  pod_.netns.Sh("echo cubic > /proc/sys/net/ipv4/tcp_congestion_control");
  Connection c = Dial(pod_.netns, served4_);
  ASSERT_EQ(c.error, 0);
  EXPECT_EQ(test::CongestionControl(c.fd.get()), "reno");
  base::Fd other = test::Listen(peer_.netns, {peer_.v4, 9000});
  Serve({});
  c = Dial(pod_.netns, {peer_.v4, 9000});
  ASSERT_EQ(c.error, 0);
  EXPECT_EQ(test::CongestionControl(c.fd.get()), "cubic");
}

TEST_F(OutboundTest, FlowIsTakenOnce) {
  Connection c = Dial(pod_.netns, served4_);
  ASSERT_EQ(c.error, 0);
  base::Fd agent;
  ASSERT_TRUE(AcceptAtAgent(outbound4_.get(), &agent).has_value());
  EXPECT_FALSE(hooks_->TakeFlow(pod_.netns.cookie(), test::Peer(agent.get()),
                                test::Local(agent.get())));
}

TEST_F(OutboundTest, WhoDialsTheListenerHimselfHasNoFlow) {
  Connection c = Dial(pod_.netns, At("127.8.8.8:15001"));
  ASSERT_EQ(c.error, 0);
  EXPECT_FALSE(AcceptAtAgent(outbound4_.get()).has_value());
}

TEST_F(OutboundTest, LeavesOtherDestinationsAlone) {
  base::Fd server = test::Listen(node_.netns(), {node_.v4(), 8000});
  Connection c = Dial(pod_.netns, {node_.v4(), 8000});
  ASSERT_EQ(c.error, 0);
  EXPECT_TRUE(test::Accept(server.get()).valid());
  EXPECT_EQ(Counter("connect_left_alone"), 1u);
  EXPECT_EQ(Counter("connect_captured"), 0u);
}

TEST_F(OutboundTest, LeavesThePodItselfAlone) {
  // Even when the mesh serves the pod's own addresses.
  Serve({{pod_.v4, Action::kCapture, {}}, {pod_.v6, Action::kCapture, {}}});
  for (const base::Endpoint& to :
       {base::Endpoint{pod_.v4, 80}, base::Endpoint{pod_.v6, 80},
        At("127.0.0.1:80"), At("[::1]:80")}) {
    base::Fd app = test::Listen(pod_.netns, to);
    Connection c = Dial(pod_.netns, to);
    EXPECT_EQ(c.error, 0) << to.ToString();
    EXPECT_TRUE(test::HasConnection(app.get())) << to.ToString();
  }
  EXPECT_EQ(Counter("connect_captured"), 0u);
}

TEST_F(OutboundTest, LeavesOtherNamespacesAlone) {
  base::Fd server = test::Listen(peer_.netns, served4_);
  Connection c = Dial(node_.netns(), served4_);
  EXPECT_EQ(c.error, 0);
  EXPECT_TRUE(test::HasConnection(server.get()));
}

TEST_F(OutboundTest, LeavesUdpAlone) {
  base::Fd fd = pod_.netns.Socket(AF_INET, SOCK_DGRAM);
  ASSERT_EQ(Connect(fd.get(), served4_), 0);
  EXPECT_EQ(test::Peer(fd.get()), served4_);
  EXPECT_EQ(Counter("connect_captured") + Counter("connect_left_alone"), 0u);
}

TEST_F(OutboundTest, LeavesTheAgentsOwnSocketsAlone) {
  base::Fd server = test::Listen(peer_.netns, served4_);
  base::Fd fd = pod_.netns.Socket(AF_INET);
  ASSERT_TRUE(hooks_->TagAgentSocket(fd.get()).ok());
  ASSERT_EQ(Connect(fd.get(), served4_), 0);
  EXPECT_TRUE(test::Accept(server.get()).valid());
  EXPECT_EQ(Counter("connect_own"), 1u);
}

TEST_F(OutboundTest, RefusesWithEconnrefused) {
  ASSERT_TRUE(hooks_->features().set_retval)
      << "this kernel cannot refuse in the hook (before 5.18)";
  Serve({{served4_.address, Action::kRefuse, {}},
         {served6_.address, Action::kRefuse, {}}});
  EXPECT_EQ(Dial(pod_.netns, served4_).error, ECONNREFUSED);
  EXPECT_EQ(Dial(pod_.netns, served6_).error, ECONNREFUSED);
  EXPECT_EQ(Dial(pod_.netns, served4_, AF_INET6).error, ECONNREFUSED);
  base::Fd waiting = pod_.netns.Socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK);
  EXPECT_EQ(Connect(waiting.get(), served4_), ECONNREFUSED);
  EXPECT_EQ(Counter("connect_refused"), 4u);
}

TEST_F(OutboundTest, WhereTheHookCannotRefuseTheAgentMust) {
  hooks_.reset();
  ASSERT_TRUE(RemovePins(sandbox_.bpf_dir() + "/nodeward").ok());
  // As on a kernel before 5.18.
  auto maps = SharedMaps::Open(sandbox_.bpf_dir());
  ASSERT_TRUE(maps.ok());
  auto outbound = Outbound::Load(*maps, {.tcx = true, .set_retval = false});
  ASSERT_TRUE(outbound.ok()) << outbound.status().ToString();
  ASSERT_TRUE(outbound->Attach(sandbox_.bpf_dir(), sandbox_.cgroup()).ok());
  uint64_t cookie = pod_.netns.cookie();
  ASSERT_TRUE(outbound->Enable(cookie, &pod_.v4, nullptr).ok());
  auto destinations = Destinations::Open(*maps);
  ASSERT_TRUE(destinations.ok());
  ASSERT_TRUE(
      destinations->Set({{served4_.address, Action::kRefuse, {}}}).ok());
  Connection c = Dial(pod_.netns, served4_);
  ASSERT_EQ(c.error, 0);
  base::Fd agent = test::Accept(outbound4_.get());
  EXPECT_EQ(outbound->TakeFlow(cookie, test::Peer(agent.get()),
                               test::Local(agent.get())),
            served4_);
}

TEST_F(OutboundTest, PortsDecideBeforeTheirAddress) {
  Serve({{peer_.v4,
          Action::kRefuse,
          {{8000, Action::kCapture}, {9000, Action::kRefuse}}}});
  EXPECT_EQ(Dial(pod_.netns, {peer_.v4, 8000}).error, 0);
  EXPECT_EQ(Dial(pod_.netns, {peer_.v4, 9000}).error, ECONNREFUSED);
  EXPECT_EQ(Dial(pod_.netns, {peer_.v4, 7000}).error, ECONNREFUSED);
}

TEST_F(OutboundTest, CapturesTheUnknownInsideMeshCidrs) {
  Serve({});
  ASSERT_TRUE(hooks_
                  ->SetMeshCidrs({*base::Cidr::Parse("10.99.0.0/16"),
                                  *base::Cidr::Parse("fd99::/64")})
                  .ok());
  Connection c = Dial(pod_.netns, At("10.99.1.2:80"));
  ASSERT_EQ(c.error, 0);
  ExpectCaptured(c.fd.get(), At("10.99.1.2:80"), outbound4_.get());
  Connection c6 = Dial(pod_.netns, At("[fd99::7]:80"));
  ASSERT_EQ(c6.error, 0);
  ExpectCaptured(c6.fd.get(), At("[fd99::7]:80"), outbound6_.get());
  base::Fd server = test::Listen(node_.netns(), {node_.v4(), 80});
  EXPECT_EQ(Dial(pod_.netns, {node_.v4(), 80}).error, 0);
  EXPECT_TRUE(test::HasConnection(server.get()));
  ASSERT_TRUE(hooks_->SetMeshCidrs({}).ok());
  base::Fd fd = pod_.netns.Socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK);
  EXPECT_EQ(Connect(fd.get(), At("10.99.1.2:80")), EINPROGRESS);
  EXPECT_FALSE(test::HasConnection(outbound4_.get()));
}

TEST_F(OutboundTest, DisabledPodIsLeftAlone) {
  ASSERT_TRUE(hooks_->DisableConnect(pod_.netns.cookie()).ok());
  base::Fd server = test::Listen(peer_.netns, served4_);
  EXPECT_EQ(Dial(pod_.netns, served4_).error, 0);
  EXPECT_TRUE(test::HasConnection(server.get()));
}

TEST_F(OutboundTest, OneSourcePortReachesTwoDestinations) {
  Serve({{peer_.v4, Action::kCapture, {}},
         {Ip("10.99.0.9"), Action::kCapture, {}}});
  base::Fd fds[2];
  const base::Endpoint to[] = {served4_, At("10.99.0.9:8000")};
  for (int i : {0, 1}) {
    fds[i] = pod_.netns.Socket(AF_INET);
    int one = 1;
    setsockopt(fds[i].get(), SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    ASSERT_TRUE(test::Bind(fds[i].get(), {pod_.v4, 4444}));
  }
  for (int i : {0, 1}) {
    ASSERT_EQ(Connect(fds[i].get(), to[i]), 0);
    EXPECT_EQ(test::Local(fds[i].get()), (base::Endpoint{pod_.v4, 4444}));
    ExpectCaptured(fds[i].get(), to[i], outbound4_.get());
  }
}

TEST_F(OutboundTest, DestinationsAreSpreadOverLoopback) {
  std::vector<Destination> many;
  for (int i = 1; i <= 200; ++i)
    many.push_back({Ip(base::StrCat("10.98.0.", i)), Action::kCapture, {}});
  Serve(many);
  std::set<std::string> listeners;
  for (const Destination& d : many) {
    Connection c = Dial(pod_.netns, {d.address, 80});
    ASSERT_EQ(c.error, 0) << d.address.ToString();
    base::Fd agent;
    ASSERT_EQ(AcceptAtAgent(outbound4_.get(), &agent),
              (base::Endpoint{d.address, 80}));
    listeners.insert(test::Local(agent.get()).address.ToString());
  }
  EXPECT_GT(listeners.size(), 190u);
}

TEST_F(OutboundTest, NonBlockingConnect) {
  base::Fd fd = pod_.netns.Socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK);
  int error = Connect(fd.get(), served4_);
  EXPECT_TRUE(error == 0 || error == EINPROGRESS) << error;
  pollfd wait{.fd = fd.get(), .events = POLLOUT, .revents = 0};
  ASSERT_EQ(poll(&wait, 1, 10000), 1);
  EXPECT_EQ(AcceptAtAgent(outbound4_.get()), served4_);
}

TEST_F(OutboundTest, ClientThatSendsAndClosesAtOnceIsKnown) {
  for (int i = 0; i < 200; ++i) {
    {
      Connection c = Dial(pod_.netns, i % 2 ? served4_ : served6_);
      ASSERT_EQ(c.error, 0);
      ASSERT_TRUE(test::Send(c.fd.get(), "bye"));
    }
    EXPECT_EQ(AcceptAtAgent(i % 2 ? outbound4_.get() : outbound6_.get()),
              i % 2 ? served4_ : served6_);
  }
}

TEST_F(OutboundTest, FastOpen) {
  pod_.netns.Sh("echo 3 > /proc/sys/net/ipv4/tcp_fastopen");
  int queue = 16;
  ASSERT_EQ(setsockopt(outbound4_.get(), IPPROTO_TCP, TCP_FASTOPEN, &queue,
                       sizeof(queue)),
            0);
  // The first asks for a cookie, the second sends its bytes in the SYN.
  for (int i : {0, 1}) {
    base::Fd fd = pod_.netns.Socket(AF_INET);
    sockaddr_storage to;
    socklen_t size = served4_.ToSockaddr(&to);
    ASSERT_EQ(sendto(fd.get(), "early", 5, MSG_FASTOPEN,
                     reinterpret_cast<sockaddr*>(&to), size),
              5)
        << i;
    base::Fd agent;
    ASSERT_EQ(AcceptAtAgent(outbound4_.get(), &agent), served4_) << i;
    EXPECT_EQ(test::Receive(agent.get()), "early");
    EXPECT_EQ(test::Peer(fd.get()), served4_);
  }
}

TEST_F(OutboundTest, MptcpIsCaptured) {
  base::Fd fd;
  pod_.netns.Run([&] {
    fd.Reset(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_MPTCP));
  });
  std::ifstream available("/proc/sys/net/mptcp/enabled");
  if (!fd.valid()) {
    std::printf("no MPTCP in this kernel: its sockets cannot be made at all\n");
    EXPECT_FALSE(available.good());
    return;
  }
  ASSERT_EQ(Connect(fd.get(), served4_), 0);
  base::Fd agent;
  EXPECT_EQ(AcceptAtAgent(outbound4_.get(), &agent), served4_);
  EXPECT_TRUE(test::Send(agent.get(), "over a subflow"));
  EXPECT_EQ(test::Receive(fd.get()), "over a subflow");
}

TEST_F(OutboundTest, SocketBoundToItsInterface) {
  for (int family : {AF_INET, AF_INET6}) {
    base::Fd fd = pod_.netns.Socket(family);
    ASSERT_EQ(setsockopt(fd.get(), SOL_SOCKET, SO_BINDTODEVICE, "eth0", 5), 0);
    ASSERT_EQ(Connect(fd.get(), served4_, family), 0);
    EXPECT_EQ(test::Local(fd.get()).address, pod_.v4);
    ExpectCaptured(fd.get(), served4_, outbound4_.get());
  }
  base::Fd fd = pod_.netns.Socket(AF_INET6);
  ASSERT_EQ(setsockopt(fd.get(), SOL_SOCKET, SO_BINDTODEVICE, "eth0", 5), 0);
  ASSERT_EQ(Connect(fd.get(), served6_), 0);
  ExpectCaptured(fd.get(), served6_, outbound6_.get());
}

TEST_F(OutboundTest, WhoMayNotLeaveItsInterfaceIsRefused) {
  base::Fd server = test::Listen(peer_.netns, served4_);
  base::Fd fd = pod_.netns.Socket(AF_INET);
  ASSERT_EQ(setsockopt(fd.get(), SOL_SOCKET, SO_BINDTODEVICE, "eth0", 5), 0);
  int error = 0;
  // Capabilities are a thread's; this one ends without its.
  std::thread([&] {
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct none[2] = {};
    ASSERT_EQ(syscall(SYS_capset, &header, none), 0);
    error = Connect(fd.get(), served4_);
  }).join();
  EXPECT_EQ(error, ECONNREFUSED);
  EXPECT_FALSE(test::HasConnection(server.get()));
  EXPECT_EQ(Counter("connect_failed"), 1u);
}

TEST_F(OutboundTest, SocketUsedAgainElsewhereForgetsItsFormerPeer) {
  base::Fd server = test::Listen(node_.netns(), {node_.v4(), 8000});
  base::Fd fd = pod_.netns.Socket(AF_INET);
  ASSERT_EQ(Connect(fd.get(), served4_), 0);
  ExpectCaptured(fd.get(), served4_, outbound4_.get());
  sockaddr nothing{};
  nothing.sa_family = AF_UNSPEC;
  ASSERT_EQ(connect(fd.get(), &nothing, sizeof(nothing)), 0);
  ASSERT_EQ(Connect(fd.get(), {node_.v4(), 8000}), 0);
  EXPECT_EQ(test::Peer(fd.get()), (base::Endpoint{node_.v4(), 8000}));
  EXPECT_TRUE(test::HasConnection(server.get()));
}

TEST_F(OutboundTest, WithoutListenerIsRefusedNotLetThrough) {
  base::Fd server = test::Listen(peer_.netns, served4_);
  outbound4_.Reset();
  EXPECT_EQ(Dial(pod_.netns, served4_).error, ECONNREFUSED);
  EXPECT_FALSE(test::HasConnection(server.get()));
}

TEST_F(OutboundTest, RefusesACgroupThatIsNone) {
  auto hooks = Hooks::Load(
      {.bpf_dir = sandbox_.bpf_dir() + "/other", .cgroup_path = "/tmp"});
  ASSERT_FALSE(hooks.ok());
  EXPECT_THAT(hooks.status().ToString(),
              ::testing::HasSubstr("/tmp: not a cgroup v2 folder"));
}

}  // namespace
}  // namespace nodeward::kernel
