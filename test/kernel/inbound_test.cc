// SPDX-License-Identifier: Apache-2.0
#include "kernel/inbound.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <cerrno>

#include "base/text.h"
#include "kernel/hooks.h"
#include "kernel/netns_fixture.h"
#include "kernel/pin.h"
#include "kernel/stream_fixture.h"

namespace nodeward::kernel {
namespace {

using test::At;
using test::Connection;
using test::Dial;

// A pod with an application on port 80 and the agent's inbound listeners.
class InboundTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto hooks = Hooks::Load({.bpf_dir = sandbox_.bpf_dir() + "/nodeward",
                              .cgroup_path = sandbox_.cgroup()});
    ASSERT_TRUE(hooks.ok()) << hooks.status().ToString();
    hooks_ = *std::move(hooks);
    app_ = test::Listen(pod_.netns, At("[::]:80"));
    inbound4_ = test::Listen(pod_.netns, At("127.0.0.1:15006"));
    inbound6_ = test::Listen(pod_.netns, At("[::1]:15006"));
  }

  void Attach() {
    base::Status status =
        hooks_->AttachLookup(pod_.netns.cookie(), pod_.netns.fd());
    ASSERT_TRUE(status.ok()) << status.ToString();
  }
  void SetListener(Slot slot, int fd) {
    base::Status status = hooks_->SetListener(pod_.netns.cookie(), slot, fd);
    ASSERT_TRUE(status.ok()) << status.ToString();
  }
  void AttachWithListeners() {
    Attach();
    SetListener(Slot::kInbound4, inbound4_.get());
    SetListener(Slot::kInbound6, inbound6_.get());
  }
  uint64_t Counter(const std::string& name) {
    return hooks_->Counters().at(name);
  }

  test::Sandbox sandbox_;
  test::Node node_;
  test::Pod pod_ = node_.AddPod(10);
  test::Pod client_ = node_.AddPod(20);
  std::unique_ptr<Hooks> hooks_;
  base::Fd app_, inbound4_, inbound6_;
};

TEST_F(InboundTest, WithoutLookupTheApplicationIsReached) {
  EXPECT_EQ(Dial(client_.netns, {pod_.v4, 80}).error, 0);
  EXPECT_TRUE(test::HasConnection(app_.get()));
}

TEST_F(InboundTest, EmptySlotRefusesAtOnce) {
  Attach();
  EXPECT_EQ(Dial(client_.netns, {pod_.v4, 80}).error, ECONNREFUSED);
  EXPECT_EQ(Dial(client_.netns, {pod_.v6, 80}).error, ECONNREFUSED);
  EXPECT_FALSE(test::HasConnection(app_.get()));
  EXPECT_EQ(Counter("lookup_no_listener"), 2u);
}

TEST_F(InboundTest, CapturesAnyPortForBothFamilies) {
  AttachWithListeners();
  for (uint16_t port : {80, 81}) {
    Connection c = Dial(client_.netns, {pod_.v4, port});
    ASSERT_EQ(c.error, 0);
    base::Fd agent = test::Accept(inbound4_.get());
    EXPECT_EQ(test::Local(agent.get()), (base::Endpoint{pod_.v4, port}));
    EXPECT_EQ(test::Peer(agent.get()), test::Local(c.fd.get()));
    Connection c6 = Dial(client_.netns, {pod_.v6, port});
    ASSERT_EQ(c6.error, 0);
    agent = test::Accept(inbound6_.get());
    EXPECT_EQ(test::Local(agent.get()), (base::Endpoint{pod_.v6, port}));
  }
  EXPECT_FALSE(test::HasConnection(app_.get()));
  EXPECT_EQ(Counter("lookup_captured"), 4u);
}

TEST_F(InboundTest, HbonePortReachesTheSlotForBothFamilies) {
  base::Fd hbone = test::Listen(pod_.netns, At("[::]:15008"));
  AttachWithListeners();
  SetListener(Slot::kHbone, hbone.get());
  EXPECT_EQ(Dial(client_.netns, {pod_.v4, 15008}).error, 0);
  EXPECT_EQ(Dial(client_.netns, {pod_.v6, 15008}).error, 0);
  EXPECT_TRUE(test::Accept(hbone.get()).valid());
  EXPECT_TRUE(test::Accept(hbone.get()).valid());
  EXPECT_EQ(Counter("lookup_hbone"), 2u);
}

TEST_F(InboundTest, ApplicationOnTheHbonePortIsNotReached) {
  base::Fd squatter = test::Listen(pod_.netns, At("[::]:15008"));
  AttachWithListeners();
  EXPECT_EQ(Dial(client_.netns, {pod_.v4, 15008}).error, ECONNREFUSED);
  EXPECT_EQ(Dial(client_.netns, {pod_.v6, 15008}).error, ECONNREFUSED);
  EXPECT_FALSE(test::HasConnection(squatter.get()));
}

TEST_F(InboundTest, ThePodReachesItself) {
  Attach();
  for (const base::Endpoint& to :
       {base::Endpoint{pod_.v4, 80}, base::Endpoint{pod_.v6, 80},
        At("127.0.0.1:80"), At("[::1]:80")}) {
    EXPECT_EQ(Dial(pod_.netns, to).error, 0) << to.ToString();
    EXPECT_TRUE(test::Accept(app_.get()).valid()) << to.ToString();
  }
  EXPECT_EQ(Counter("lookup_local"), 4u);
}

TEST_F(InboundTest, OnwardSocketWithTheClientsAddressReachesTheApplication) {
  AttachWithListeners();
  pod_.netns.Sh("echo cubic > /proc/sys/net/ipv4/tcp_congestion_control");
  pod_.netns.Sh(
      "ip rule add fwmark 0x111 lookup 111; ip route add local default dev lo "
      "table 111; echo 1 > /proc/sys/net/ipv4/tcp_fwmark_accept");
  base::Fd fd = pod_.netns.Socket(AF_INET);
  int one = 1, mark = 0x111;
  setsockopt(fd.get(), SOL_IP, IP_TRANSPARENT, &one, sizeof(one));
  setsockopt(fd.get(), SOL_SOCKET, SO_MARK, &mark, sizeof(mark));
  setsockopt(fd.get(), SOL_SOCKET, SO_BINDTODEVICE, "lo", 3);
  ASSERT_TRUE(test::Bind(fd.get(), {client_.v4, 0}));
  ASSERT_EQ(test::Connect(fd.get(), {pod_.v4, 80}), 0);
  base::Fd seen = test::Accept(app_.get());
  EXPECT_EQ(test::Peer(seen.get()).address, client_.v4);
  EXPECT_EQ(test::CongestionControl(seen.get()), "reno");
}

TEST_F(InboundTest, TheSlotAndNotTheReusePortGroupChooses) {
  base::Fd old_one = test::Listen(pod_.netns, At("127.0.0.1:15106"), "", true);
  base::Fd new_one = test::Listen(pod_.netns, At("127.0.0.1:15106"), "", true);
  Attach();
  SetListener(Slot::kInbound4, old_one.get());
  SetListener(Slot::kInbound4, new_one.get());
  for (int i = 0; i < 32; ++i)
    ASSERT_EQ(Dial(client_.netns, {pod_.v4, 80}).error, 0);
  EXPECT_FALSE(test::HasConnection(old_one.get()));
  EXPECT_TRUE(test::HasConnection(new_one.get()));
}

TEST_F(InboundTest, AListenerThatTwoAgentsHaveKeepsItsSlot) {
  AttachWithListeners();
  const base::Fd shared(fcntl(inbound4_.get(), F_DUPFD_CLOEXEC, 0));
  // As the one that takes over does it, once more by itself.
  SetListener(Slot::kInbound4, shared.get());
  SetListener(Slot::kInbound4, shared.get());
  inbound4_.Reset();
  EXPECT_EQ(Dial(client_.netns, {pod_.v4, 80}).error, 0);
  EXPECT_TRUE(test::HasConnection(shared.get()));
}

TEST_F(InboundTest, ClosedListenerLeavesItsSlotClosed) {
  AttachWithListeners();
  inbound4_.Reset();
  EXPECT_EQ(Dial(client_.netns, {pod_.v4, 80}).error, ECONNREFUSED);
  EXPECT_FALSE(test::HasConnection(app_.get()));
}

TEST_F(InboundTest, ListenerOfTheWrongFamilyIsClosedToo) {
  Attach();
  SetListener(Slot::kInbound6, inbound4_.get());
  EXPECT_EQ(Dial(client_.netns, {pod_.v6, 80}).error, ECONNREFUSED);
  EXPECT_FALSE(test::HasConnection(app_.get()));
  EXPECT_EQ(Counter("lookup_failed"), 1u);
}

TEST_F(InboundTest, DetachedPodKeepsItsConnections) {
  AttachWithListeners();
  Connection c = Dial(client_.netns, {pod_.v4, 80});
  ASSERT_EQ(c.error, 0);
  base::Fd agent = test::Accept(inbound4_.get());
  ASSERT_TRUE(hooks_->DetachLookup(pod_.netns.cookie()).ok());
  EXPECT_TRUE(test::Send(agent.get(), "still here"));
  EXPECT_EQ(test::Receive(c.fd.get()), "still here");
  EXPECT_EQ(Dial(client_.netns, {pod_.v4, 80}).error, 0);
  EXPECT_TRUE(test::HasConnection(app_.get()));
  EXPECT_THAT(hooks_->KnownPods(), ::testing::IsEmpty());
}

TEST_F(InboundTest, DetachIsFineWhenNothingIsThere) {
  EXPECT_TRUE(hooks_->DetachLookup(4711).ok());
}

TEST_F(InboundTest, ListenerWithoutLookupIsAnError) {
  base::Status status =
      hooks_->SetListener(4711, Slot::kInbound4, inbound4_.get());
  EXPECT_THAT(status.ToString(), ::testing::HasSubstr("netns 4711"));
}

TEST_F(InboundTest, AttachNamesTheDescriptorThatIsNoNamespace) {
  base::Status status = hooks_->AttachLookup(4711, inbound4_.get());
  EXPECT_FALSE(status.ok());
  EXPECT_THAT(status.ToString(),
              ::testing::HasSubstr("attach lookup to netns 4711"));
  EXPECT_THAT(hooks_->KnownPods(), ::testing::IsEmpty());
}

TEST_F(InboundTest, PodsDoNotShareTheirSlots) {
  AttachWithListeners();
  ASSERT_TRUE(
      hooks_->AttachLookup(client_.netns.cookie(), client_.netns.fd()).ok());
  base::Fd other = test::Listen(client_.netns, At("127.0.0.1:15006"));
  ASSERT_TRUE(
      hooks_->SetListener(client_.netns.cookie(), Slot::kInbound4, other.get())
          .ok());
  EXPECT_EQ(Dial(node_.netns(), {client_.v4, 80}).error, 0);
  EXPECT_TRUE(test::HasConnection(other.get()));
  EXPECT_FALSE(test::HasConnection(inbound4_.get()));
  EXPECT_THAT(hooks_->KnownPods(),
              ::testing::UnorderedElementsAre(pod_.netns.cookie(),
                                              client_.netns.cookie()));
}

TEST_F(InboundTest, ManyPodsOnOneNode) {
  // Each with a program, a map and a pin of its own; 250 pods are a full node.
  std::vector<test::Netns> pods(250);
  size_t descriptors = ListDirectory("/proc/self/fd").size();
  for (const test::Netns& pod : pods)
    ASSERT_TRUE(hooks_->AttachLookup(pod.cookie(), pod.fd()).ok());
  EXPECT_EQ(hooks_->KnownPods().size(), pods.size());
  for (const test::Netns& pod : pods)
    ASSERT_TRUE(hooks_->DetachLookup(pod.cookie()).ok());
  EXPECT_THAT(hooks_->KnownPods(), ::testing::IsEmpty());
  EXPECT_EQ(ListDirectory("/proc/self/fd").size(), descriptors);
}

}  // namespace
}  // namespace nodeward::kernel
